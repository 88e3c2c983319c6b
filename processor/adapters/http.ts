/** The worker's own endpoint: metrics for Prometheus, probes for Kubernetes, a snapshot for the local live view. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WorkerTelemetry } from './telemetry/telemetry.ts'

type Answer = { status: number; type: string; body: string }
type Observed = Pick<WorkerTelemetry, 'registry' | 'health' | 'snapshot'>
type Route = (observed: Observed) => Promise<Answer> | Answer

const ROUTES: Record<string, Route> = {
  '/metrics': async ({ registry }) => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  '/healthz': ({ health }) => probe(health().live, health().reasons),
  '/readyz': ({ health }) => probe(health().ready, health().reasons),
  '/status': async ({ snapshot }) => json(200, await snapshot()),
}

/** Listens on `port` (0: any free one) of `host`. Rejects when the port is taken. */
export async function startHttp(options: {
  port: number
  host: string
  telemetry: Observed
}): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => void respond(request, response, options.telemetry))
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function respond(request: IncomingMessage, response: ServerResponse, observed: Observed): Promise<void> {
  const { status, type, body } = await answer(request, observed)
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
}

async function answer(request: IncomingMessage, observed: Observed): Promise<Answer> {
  const path = request.url?.split('?')[0] ?? '/'
  const route = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
  if (!route) return json(404, { error: `nothing at ${path}`, routes: Object.keys(ROUTES) })
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { error: 'only GET is answered' })
  try {
    return await route(observed)
  } catch (error) {
    return json(500, { error: String(error) })
  }
}

function probe(ok: boolean, reasons: string[]): Answer {
  return json(ok ? 200 : 503, { ok, reasons })
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}
