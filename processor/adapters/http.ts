/** The worker's HTTP endpoint for everyone on the network: metrics, probes and a status snapshot. It changes nothing. */
import { isLoopback, withoutAddresses } from '#common/addresses.ts'
import { type HttpServer, json, metricsPage, probe, startHttpServer } from '#common/http.ts'
import type { Member } from './members-http.ts'
import type { WorkerTelemetry } from './telemetry/telemetry.ts'

const NO_MEMBER: ReturnType<Member['describe']> = { member: null, topicPartitions: 0 }

/**
 * Listens on `port` (0: any free port). Rejects with a UserError when it cannot. `member` returns null before joining. Texts
 * show addresses of stores only on loopback, where the user of this machine needs them.
 */
export async function startHttp(options: {
  port: number
  host: string
  telemetry: Pick<WorkerTelemetry, 'registry' | 'health' | 'snapshot'>
  member?: () => Member | null
}): Promise<HttpServer> {
  const { port, host, telemetry, member = () => null } = options
  const { registry, health } = telemetry
  const shown = isLoopback(host) ? (text: string) => text : withoutAddresses
  const reasons = () => health().reasons.map(shown)
  return startHttpServer({
    port,
    host,
    routes: {
      'GET /metrics': () => metricsPage(registry),
      'GET /healthz': () => probe(health().live, reasons()),
      'GET /readyz': () => probe(health().ready, reasons()),
      'GET /status': async () => {
        const snapshot = await telemetry.snapshot()
        const conditions = Object.entries(snapshot.conditions).map(([code, text]) => [code, shown(text)])
        return json(200, {
          ...snapshot,
          health: { ...snapshot.health, reasons: snapshot.health.reasons.map(shown) },
          conditions: Object.fromEntries(conditions),
          startedAt: Math.round(performance.timeOrigin),
          ...(member()?.describe() ?? NO_MEMBER),
        })
      },
    },
  })
}
