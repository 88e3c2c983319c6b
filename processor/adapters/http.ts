/** The worker's own endpoint: metrics for Prometheus, probes for Kubernetes, a snapshot for the local live view. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WorkerTelemetry } from './telemetry/telemetry.ts'

type Answer = { status: number; type: string; body: string }
/** The worker as a member of its consumer group. */
export type Member = {
  describe(): { member: string | null; topicPartitions: number }
  /** Declares another member dead. False: it has left already. */
  expel(member: string): Promise<boolean>
}
type Observed = {
  telemetry: Pick<WorkerTelemetry, 'registry' | 'health' | 'snapshot'>
  /** Null before it is one. */
  member: () => Member | null
}
type Route = (observed: Observed) => Promise<Answer> | Answer

const ROUTES: Record<string, Route> = {
  '/metrics': async ({ telemetry: { registry } }) => {
    return { status: 200, type: registry.contentType, body: await registry.metrics() }
  },
  '/healthz': ({ telemetry: { health } }) => probe(health().live, health().reasons),
  '/readyz': ({ telemetry: { health } }) => probe(health().ready, health().reasons),
  '/status': async ({ telemetry, member }) => {
    const about = member()?.describe() ?? NO_MEMBER
    return json(200, { ...(await telemetry.snapshot()), startedAt: Math.round(performance.timeOrigin), ...about })
  },
}
const NO_MEMBER: ReturnType<Member['describe']> = { member: null, topicPartitions: 0 }
/** DELETE: whoever knows that a member is dead (the operator, whose API server says so) has its partitions moved at once. */
const MEMBERS = '/members/'

/** Listens on `port` (0: any free one) of `host`. Rejects when the port is taken. */
export async function startHttp(options: {
  port: number
  host: string
  telemetry: Observed['telemetry']
  member?: Observed['member']
}): Promise<{ port: number; close(): Promise<void> }> {
  const { telemetry, member = () => null } = options
  const server = createServer((request, response) => void respond(request, response, { telemetry, member }))
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
  if (path.startsWith(MEMBERS)) return expel(request, observed, path.slice(MEMBERS.length))
  const route = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
  if (!route) return json(404, { error: `nothing at ${path}`, routes: Object.keys(ROUTES) })
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { error: 'only GET is answered' })
  try {
    return await route(observed)
  } catch (error) {
    return json(500, { error: String(error) })
  }
}

async function expel({ method }: IncomingMessage, { member }: Observed, id: string): Promise<Answer> {
  if (method !== 'DELETE') return json(405, { error: 'only DELETE is answered' })
  const ours = member()
  if (!ours) return json(503, { error: 'this worker is in no group yet' })
  try {
    return json(200, { removed: await ours.expel(decodeURIComponent(id)) })
  } catch (error) {
    return json(503, { error: (error as Error).message })
  }
}

function probe(ok: boolean, reasons: string[]): Answer {
  return json(ok ? 200 : 503, { ok, reasons })
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}
