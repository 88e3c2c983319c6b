/** The operator's own metrics, probes and log. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock, Log } from './ports.ts'
import { statusMetrics } from './status-metrics.ts'

/** Seconds: a reconcile is a handful of requests. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Bookmarks come every minute: a copy this old follows nothing any more, and a restart is the best that is left. */
const DEAF_AFTER_MS = 600_000

export type OperatorTelemetry = ReturnType<typeof createTelemetry>

export function createLog(level: string, identity: string): Log {
  const logger = pino({ level, base: { operator: identity } })
  return (at, message, fields = {}) => logger[at](fields, message)
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
      help: 'Of one reconcile',
      buckets: BOUNDS,
      registers,
    }),
    queue: new Gauge({ name: name('queue_depth'), help: 'Pipelines that wait to be looked at', registers }),
    leading: new Gauge({ name: name('leading'), help: '1 while this replica leads', registers }),
    pipelines: new Gauge({ name: name('pipelines'), help: 'Pipelines that are known', registers }),
    restarts: new Counter({
      name: name('watch_restarts_total'),
      help: 'Watches that went on anew, by kind and why',
      labelNames: ['kind', 'why'],
      registers,
    }),
    scaled: new Counter({
      name: name('scalings_total'),
      help: 'Changes of a number of workers that the autoscaler decided',
      labelNames: ['direction'],
      registers,
    }),
    expelled: new Counter({
      name: name('expelled_total'),
      help: 'Workers that were gone and removed from their consumer group before its session time-out',
      registers,
    }),
    writes: new Counter({
      name: name('writes_total'),
      help: 'Writing requests to the API server',
      labelNames: ['verb', 'resource'],
      registers,
    }),
  }
}

export type Health = {
  synced: boolean
  /** ms since the epoch: what was heard of the API server last, for the copy that heard least lately. */
  heardAt: () => number
}

/** /metrics, /healthz and /readyz. Rejects when the port is taken. */
export async function startHttp(port: number, { registry }: OperatorTelemetry, health: Health, clock: Clock) {
  const isDeaf = () => health.synced && clock.now() - health.heardAt() > DEAF_AFTER_MS
  const server = createServer(async (request, response) => {
    const path = request.url?.split('?')[0]
    const answer = (ok: boolean, why: string) => response.writeHead(ok ? 200 : 503).end(`${ok ? 'ok' : why}\n`)
    if (path === '/metrics')
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
    else if (path === '/healthz') answer(!isDeaf(), 'nothing was heard of the API server for ten minutes')
    else if (path === '/readyz') answer(health.synced, 'the first lists are not here yet')
    else response.writeHead(404).end('there are /metrics, /healthz and /readyz\n')
  })
  server.listen(port)
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
