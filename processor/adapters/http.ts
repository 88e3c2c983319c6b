/** The worker's HTTP endpoint: metrics, probes, a status snapshot, and the removal of dead members. */
import { type Answer, type HttpServer, json, metricsPage, probe, startHttpServer } from '#common/http.ts'
import { serverText } from '#common/redact.ts'
import type { WorkerTelemetry } from './telemetry/telemetry.ts'

/** The worker as a member of its consumer group. */
export type Member = {
  describe(): { member: string | null; topicPartitions: number }
  /** Declares another member dead. Resolves with false if the group has no such member. */
  expel(member: string): Promise<boolean>
}

const NO_MEMBER: ReturnType<Member['describe']> = { member: null, topicPartitions: 0 }

/** Listens on `port` (0: any free port). Rejects with a UserError when it cannot. `member` returns null before joining. */
export async function startHttp(options: {
  port: number
  host: string
  telemetry: Pick<WorkerTelemetry, 'registry' | 'health' | 'snapshot'>
  member?: () => Member | null
}): Promise<HttpServer> {
  const { port, host, telemetry, member = () => null } = options
  const { registry, health } = telemetry
  return startHttpServer({
    port,
    host,
    routes: {
      'GET /metrics': () => metricsPage(registry),
      'GET /healthz': () => probe(health().live, health().reasons),
      'GET /readyz': () => probe(health().ready, health().reasons),
      'GET /status': async () => {
        const membership = member()?.describe() ?? NO_MEMBER
        return json(200, {
          ...(await telemetry.snapshot()),
          startedAt: Math.round(performance.timeOrigin),
          ...membership,
        })
      },
      // The operator calls this when the API server reports a pod as dead, so that its partitions move at once.
      'DELETE /members/': id => expel(member(), id),
    },
  })
}

async function expel(member: Member | null, id: string): Promise<Answer> {
  if (!member) return json(503, { error: 'this worker has not joined its consumer group yet; try again later' })
  try {
    if (await member.expel(decodeURIComponent(id))) return json(200, { removed: true })
    return json(404, { removed: false, error: 'the consumer group has no member with this id; nothing was changed' })
  } catch (error) {
    return json(503, { error: serverText((error as Error).message) })
  }
}
