/** The HTTP side of the ingest: routes and responses. It does not depend on Kafka. */
import swagger from '@fastify/swagger'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { type Body, BodyError, parseBody, type SentEvent } from './body.ts'
import type { JsonSchema } from './event-schema.ts'
import { exactFaults, type Fault, idText } from './exact-checks.ts'
import { type Ingest, Refusal } from './ingest.ts'
import type { IngestMetrics } from './metrics.ts'
import { docsPage } from './page.ts'
import { bodySchema, RESPONSES } from './responses.ts'
import { type SchemaError, schemaFault } from './schema-faults.ts'

export type AppParts = {
  compiled: CompiledSpec
  schema: JsonSchema
  ingest: Pick<Ingest, 'send' | 'unready'>
  metrics: IngestMetrics
  maxBodyBytes: number
  logLevel: string
}

/** Maximum number of faults in a response. */
const MAX_FAULTS = 100
const READY_WITHIN_MS = 2000
const TRACEPARENT = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/
/** Ajv reports every fault, considers own properties only, and does not change the event. */
const AJV = {
  allErrors: true,
  verbose: true,
  ownProperties: true,
  allowUnionTypes: true,
  coerceTypes: false,
  useDefaults: false,
  removeAdditional: false,
} as const

export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const { compiled, schema, metrics, maxBodyBytes, logLevel } = parts
  const route = `/${compiled.spec.source.topic}`
  const app = Fastify({
    logger: { level: logLevel },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    ajv: { customOptions: AJV },
  })
  app.removeAllContentTypeParsers()
  // Fastify passes the bytes on, because its JSON parser would turn 1.10 into 1.1.
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => body,
  )
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .send({ error: `this path does not exist; send sales with POST ${route}. GET /docs explains the format` }),
  )
  app.addHook('onResponse', async (request, reply) => {
    if (request.routeOptions.url === route) metrics.answered(reply.statusCode)
  })
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: `Sales to ${compiled.spec.source.topic}`, version: '1' } },
    // Fastify only documents the body. We validate each event separately, so that faults have the index of their event.
    transform: documented =>
      documented.url === route
        ? { ...documented, schema: { ...documented.schema, body: bodySchema(schema) } }
        : documented,
  })
  app.post(
    route,
    { schema: { summary: 'Send one sale, or an array of sales', response: RESPONSES } },
    (request, reply) => acceptSales(parts, request, reply),
  )
  addPages(app, parts)
  return app
}

function addPages(app: FastifyInstance, { compiled, schema, ingest, metrics }: AppParts): void {
  const hidden = { schema: { hide: true } }
  app.get('/openapi.json', hidden, () => app.swagger())
  app.get('/docs', hidden, (request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(compiled.spec.source.topic, schema, request.host)),
  )
  app.get('/healthz', hidden, () => ({ ok: true }))
  app.get('/readyz', hidden, async (_request, reply) => {
    const reason = await ingest.unready(READY_WITHIN_MS)
    return reply
      .code(reason === null ? 200 : 503)
      .send({ ok: reason === null, reasons: reason === null ? [] : [reason] })
  })
  app.get('/metrics', hidden, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}

async function acceptSales(parts: AppParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { compiled, ingest, metrics } = parts
  const body = parseBody((request.body as Buffer | undefined) ?? Buffer.alloc(0))
  const faults = faultsOf(body, parts, request)
  if (faults.length > 0) {
    const error = `nothing was sent to Kafka: ${faults.length} error${faults.length === 1 ? '' : 's'} in the request`
    return reply.code(400).send({ error, faults: faults.slice(0, MAX_FAULTS) })
  }
  const { traceparent } = request.headers
  const trace = typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined
  const startedAt = performance.now()
  const positions = await ingest.send(
    body.events.map(({ exact, bytes }) => ({ key: idText(compiled, exact), bytes })),
    trace,
  )
  metrics.produced((performance.now() - startedAt) / 1000)
  metrics.accepted(
    positions.length,
    body.events.reduce((sum, { bytes }) => sum + bytes.length, 0),
  )
  return reply.code(202).send({ accepted: positions.length, offsets: positions })
}

function faultsOf({ events, isBatch }: Body, { compiled, schema }: AppParts, request: FastifyRequest): Fault[] {
  const now = Date.now()
  const validate = request.compileValidationSchema(schema)
  const faultsOfOne = ({ plain, exact }: SentEvent): Fault[] => {
    if (validate(plain)) return exactFaults(compiled, exact, now)
    return (validate.errors as SchemaError[]).map(schemaFault)
  }
  return events.flatMap((event, index) => {
    const faults = faultsOfOne(event)
    return isBatch ? faults.map(fault => ({ index, ...fault })) : faults
  })
}

function sendError(
  error: FastifyError | Refusal | BodyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error instanceof BodyError) return reply.code(400).send({ error: error.message })
  if (error instanceof Refusal) {
    if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
    return reply.code(error.status).send({ error: error.message })
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const found = request.headers['content-type'] ?? 'missing'
    return reply.code(415).send({ error: `the header Content-Type is ${found}; set it to application/json` })
  }
  const status = error.statusCode ?? 500
  if (status >= 500) request.log.error(error)
  return reply.code(status).send({ error: status >= 500 ? 'internal error' : error.message })
}
