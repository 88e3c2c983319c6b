/** Everything that the ingest serves apart from sales: probes, metrics and documentation. */
import type { FastifyInstance } from 'fastify'
import { withoutAddresses } from '#common/addresses.ts'
import { json, metricsPage, probe, type Routes } from '#common/http.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { eventSchema, type JsonSchema } from './event-schema.ts'
import type { Ingest } from './ingest.ts'
import type { IngestMetrics } from './metrics.ts'
import { docsPage } from './page.ts'

type PageParts = {
  compiled: CompiledSpec
  ingest: Pick<Ingest, 'unready'>
  metrics: IngestMetrics
  isPrivate: boolean
  authenticate: unknown
  maxBatch: number
}

const READY_WITHIN_MS = 2000
const HTML = 'text/html; charset=utf-8'

async function readiness(ingest: PageParts['ingest']): Promise<{ ok: boolean; reasons: string[] }> {
  const reason = await ingest.unready(READY_WITHIN_MS)
  return { ok: reason === null, reasons: reason === null ? [] : [withoutAddresses(reason)] }
}

/** Adds probes to the port for sales and, if it is not private, the other pages. */
export function addPages(app: FastifyInstance, parts: PageParts, schema: JsonSchema): void {
  const { compiled, ingest, metrics, isPrivate } = parts
  const hidden = { schema: { hide: true } }
  app.get('/healthz', hidden, () => ({ ok: true }))
  app.get('/readyz', hidden, async (_request, reply) => {
    const { ok, reasons } = await readiness(ingest)
    return reply.code(ok ? 200 : 503).send({ ok, reasons })
  })
  if (isPrivate) return
  app.get('/openapi.json', hidden, () => app.swagger())
  app.get('/docs', hidden, (request, reply) =>
    reply.type(HTML).send(docsPage(compiled.spec.source.topic, schema, { ...parts, host: request.host })),
  )
  app.get('/metrics', hidden, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}

/** Returns the pages of the port for metrics, probes and documentation. */
export function privateRoutes(app: FastifyInstance, parts: PageParts): Routes {
  const { compiled, ingest, metrics } = parts
  const { topic } = compiled.spec.source
  const schema = eventSchema(compiled.spec)
  return {
    'GET /metrics': () => metricsPage(metrics.registry),
    'GET /healthz': () => probe(true, []),
    'GET /readyz': async () => {
      const { ok, reasons } = await readiness(ingest)
      return probe(ok, reasons)
    },
    'GET /docs': () => ({
      status: 200,
      type: HTML,
      body: docsPage(topic, schema, { ...parts, host: 'ADDRESS_OF_THE_INGEST' }),
    }),
    'GET /openapi.json': () => json(200, app.swagger()),
  }
}
