/** The operator's own metrics, probes and log. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type HttpServer, metricsPage, probe, startHttpServer } from '#common/http.ts'
import { createLogger, type LogLevel } from '#common/logger.ts'
import { redact, reportText } from '#common/redact.ts'
import type { Clock, Log } from './ports.ts'
import { statusMetrics } from './status-metrics.ts'

/** Seconds: a reconcile is a handful of requests. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Bookmarks arrive every minute: a cache without an event for this long follows nothing, and only a restart helps. */
const STALE_AFTER_MS = 600_000

export type OperatorTelemetry = ReturnType<typeof createTelemetry>

export function createLog(level: LogLevel, identity: string): Log {
  const logger = createLogger(level, { operator: identity })
  return (at, message, fields = {}) => logger[at](redact(fields), reportText(message))
}

export function createTelemetry() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const name = (short: string) => `salespipeline_operator_${short}`
  const registers = [registry]
  return {
    registry,
    ...statusMetrics(registry),
    reconciles: new Counter({
      name: name('reconciles_total'),
      help: 'Reconciles, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    duration: new Histogram({
      name: name('reconcile_duration_seconds'),
      help: 'Duration of one reconcile',
      buckets: BOUNDS,
      registers,
    }),
    queue: new Gauge({ name: name('queue_depth'), help: 'Pipelines that wait in the work queue', registers }),
    leading: new Gauge({ name: name('leading'), help: '1 while this replica is the leader', registers }),
    pipelines: new Gauge({ name: name('pipelines'), help: 'Number of SalesPipelines in the cluster', registers }),
    restarts: new Counter({
      name: name('watch_restarts_total'),
      help: 'Restarts of watches, by kind and reason',
      labelNames: ['kind', 'why'],
      registers,
    }),
    scaled: new Counter({
      name: name('scalings_total'),
      help: 'Number of scalings that the autoscaler made, per direction (up or down)',
      labelNames: ['direction'],
      registers,
    }),
    expelled: new Counter({
      name: name('expelled_total'),
      help: 'Dead workers that the operator removed from the consumer group before their session timed out',
      registers,
    }),
    unwritten: new Gauge({
      name: name('statuses_not_written'),
      help: 'Number of SalesPipelines whose status the API server refuses',
      registers,
    }),
    writes: new Counter({
      name: name('writes_total'),
      help: 'Write requests to the API server, by verb and resource',
      labelNames: ['verb', 'resource'],
      registers,
    }),
  }
}

export type Health = {
  synced: boolean
  /** ms since the epoch: the oldest last contact of any cache with the API server. */
  lastContactAt: () => number
  /** Why caches cannot be filled. */
  faults: () => string[]
  /** By pipeline: why the API server refuses its status. */
  refused: ReadonlyMap<string, string>
}

/** /metrics, /healthz and /readyz. Rejects with a UserError when the port is taken. */
export function startHttp(
  { httpHost: host, httpPort: port }: { httpHost: string; httpPort: number },
  { registry }: OperatorTelemetry,
  health: Health,
  clock: Clock,
): Promise<HttpServer> {
  const reasonsIf = (isBad: boolean, reason: string) => probe(!isBad, isBad ? [reason] : [])
  const isStale = () => health.synced && clock.now() - health.lastContactAt() > STALE_AFTER_MS
  return startHttpServer({
    port,
    host,
    routes: {
      'GET /metrics': () => metricsPage(registry),
      'GET /healthz': () =>
        reasonsIf(
          isStale(),
          `the operator received no event from the API server for ${STALE_AFTER_MS / 60_000} minutes; check its connection to the API server`,
        ),
      'GET /readyz': () => {
        const refused = [...health.refused].map(([key, why]) => `the API server refuses the status of ${key}: ${why}`)
        const reasons = health.synced ? refused : ['caches not synced', ...health.faults()]
        return probe(reasons.length === 0, reasons)
      },
    },
  })
}
