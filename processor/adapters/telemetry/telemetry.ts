/** The Telemetry port: Prometheus metrics, JSON logs, conditions, the commit log and optional traces. */
import type { DestinationStream } from 'pino'
import type { Registry } from 'prom-client'
import { createLogger, type LogLevel } from '#common/logger.ts'
import { redact, reportText } from '#common/redact.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Commit, PartitionCommit } from '#processor/core/commit.ts'
import type { Clock, Telemetry } from '../../ports.ts'
import { openCommitLog } from './commit-log.ts'
import { EQUATIONS, imbalance, LAWS } from './conservation.ts'
import { Health, type HealthReport } from './health.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { Proof } from './proof.ts'
import { RecentDelays } from './recent-delays.ts'
import { measure, type Snapshot } from './snapshot.ts'
import type { Tracing } from './tracing.ts'

export type TelemetryOptions = {
  /** namespace/name */
  pipeline: string
  worker: string
  compiled: CompiledSpec
  clock: Clock
  logLevel: LogLevel
  /** Where log lines go; default stdout. */
  logTo?: DestinationStream | undefined
  /** The file of the commit log (docs/tables.md); without it no commit log is written. */
  commitLog?: string | undefined
  /** Changes the texts of conditions and reasons for the place where the worker runs. */
  advice?: ((text: string) => string) | undefined
  /** The result of startTracing; without it there are no spans. */
  tracing?: Tracing | null | undefined
}

export type WorkerTelemetry = Telemetry & {
  registry: Registry
  health(): HealthReport
  snapshot(): Promise<Snapshot>
  /** Sets readiness, initially false; `reason`: why not. A blocking condition also makes the worker not ready. */
  setReady(ready: boolean, reason?: string): void
  /** Call with false once the flow has ended: the liveness probe then fails. */
  setLive(live: boolean, reason?: string): void
  /** Sends pending spans and closes the commit log. */
  close(): Promise<void>
}

/** Throws the file system's error when the commit log cannot be opened. */
export function createTelemetry(options: TelemetryOptions): WorkerTelemetry {
  const { pipeline, worker, compiled, clock, tracing, advice = text => text } = options
  const metrics = createMetrics(pipeline, compiled)
  const logger = createLogger(options.logLevel, { pipeline, worker }, options.logTo)
  const commitLog = options.commitLog === undefined ? null : openCommitLog(options.commitLog, worker)
  const health = new Health()
  const proof = new Proof()
  const recentCommits = new RecentDelays()
  const recentProjections = new RecentDelays()

  const telemetry: WorkerTelemetry = {
    registry: metrics.registry,
    health: () => health.report(),
    setReady: (ready, reason = 'Not ready') => health.setReady(ready, reportText(advice(reason))),
    setLive: (live, reason = 'the worker no longer reads and commits; its log shows why') =>
      health.setLive(live, reportText(advice(reason))),
    async snapshot() {
      const at = clock.now()
      return {
        pipeline,
        worker,
        at,
        health: health.report(),
        conditions: health.conditions(),
        proof: proof.report(),
        endToEndDelay: recentCommits.percentiles(at),
        projectionDelay: recentProjections.percentiles(at),
        ...(await measure(metrics)),
      }
    },
    async close() {
      commitLog?.close()
      await tracing?.shutdown()
    },

    fetched: (partition, bytes) => metrics.fetchedBytes.inc({ partition }, bytes),
    committed(commit, info) {
      commitLog?.append(commit, info.endedAt)
      countCommit(metrics, compiled, commit)
      metrics.commitDuration.observe((info.endedAt - info.startedAt) / 1000)
      metrics.endToEndDelay.observe(info.createdAt, info.endedAt)
      recentCommits.add(info.createdAt, info.endedAt)
      checkConservation(metrics, telemetry, commit)
      tracing?.committed(commit, info)
    },
    commitFailed: kind => metrics.commitFailures.inc({ kind }),
    rebalanced(assigned) {
      metrics.rebalances.inc()
      metrics.assigned.set(assigned.length)
    },
    position(partition, { committed, nextOffset, logEnd, undecided, watermark }) {
      metrics.lag.set({ partition }, Math.max(0, logEnd - committed))
      metrics.undecided.set({ partition }, undecided)
      metrics.uncommitted.set({ partition }, Math.max(0, nextOffset - committed))
      if (watermark !== null) metrics.partitionWatermark.set({ partition }, watermark / 1000)
    },
    released(partition) {
      metrics.lag.remove({ partition })
      metrics.undecided.remove({ partition })
      metrics.uncommitted.remove({ partition })
      metrics.partitionWatermark.remove({ partition })
    },
    projected(work, faults, info) {
      const { rows } = work
      const updatedAt = Float64Array.from(rows, row => row.updatedAt)
      metrics.projectedRows.inc(rows.length - faults)
      metrics.projectionFaults.inc(faults)
      metrics.projectionDuration.observe((info.endedAt - info.startedAt) / 1000)
      metrics.projectionDelay.observe(updatedAt, info.endedAt)
      recentProjections.add(updatedAt, info.endedAt)
      tracing?.projected(work, info)
    },
    committable: partitions => proof.committable(partitions),
    sinkAccepted: sink => proof.sinkAccepted(sink),
    projectionPending: rows => metrics.projectionPending.set(rows),
    pipelineClock({ watermark, finalised, removed }) {
      if (watermark !== null) metrics.watermark.set(watermark / 1000)
      metrics.finalised.inc(finalised)
      metrics.removed.inc(removed)
    },
    busy(workedMs, elapsedMs) {
      metrics.busy.set(elapsedMs > 0 ? Math.min(1, workedMs / elapsedMs) : 0)
      metrics.busySeconds.inc(Math.min(workedMs, elapsedMs) / 1000)
    },
    condition(code, text) {
      const message = text === null ? null : reportText(advice(text))
      if (!health.condition(code, message, clock.now())) return
      metrics.condition.set({ code }, message === null ? 0 : 1)
      if (message === null) telemetry.log('info', `condition cleared: ${code}`, { code })
      else telemetry.log('warn', `${code}: ${message}`, { code })
    },
    log: (level, message, fields = {}) => logger[level](redact(fields), redact(message) as string),
  }
  return telemetry
}

function countCommit(metrics: Metrics, compiled: CompiledSpec, commit: Commit): void {
  metrics.commits.inc()
  for (const share of commit.partitions) countPartition(metrics, compiled, share)
  for (const { reason } of commit.dead) metrics.deadLetters.inc({ reason })
}

function countPartition(metrics: Metrics, compiled: CompiledSpec, share: PartitionCommit): void {
  const { partition, counters, aggregations } = share
  metrics.records.inc({ partition }, counters.records)
  metrics.skipped.inc({ partition }, counters.skipped)
  metrics.accepted.inc({ partition }, counters.accepted)
  metrics.duplicates.inc({ partition }, counters.duplicate)
  aggregations.forEach(({ late, partlyLate, missedWindows }, i) => {
    const aggregation = compiled.aggregations[i]!.name
    metrics.late.inc({ aggregation }, late)
    metrics.partlyLate.inc({ aggregation }, partlyLate)
    metrics.missedWindows.inc({ aggregation }, missedWindows)
  })
}

/** Metric and condition stay until the worker restarts, because a person must look at every violation. */
function checkConservation(metrics: Metrics, telemetry: Telemetry, commit: Commit): void {
  const deviations = imbalance(commit)
  const broken = LAWS.filter(law => deviations[law] !== 0)
  if (broken.length === 0) return
  for (const law of broken) metrics.conservation.inc({ law }, deviations[law])
  const partitions = commit.partitions.map(({ partition, fromOffset, nextOffset, counters }) => {
    return { partition, fromOffset, nextOffset, ...counters }
  })
  telemetry.log(
    'error',
    'bug: the record counts of a commit do not add up. Run the verifier, which compares the results with the topic, and report the bug',
    { off: deviations, partitions },
  )
  const rules = broken.map(law => `${law} (${EQUATIONS[law]}) by ${deviations[law]}`)
  telemetry.condition(
    'ConservationViolated',
    `records are unaccounted for. Broken rules: ${rules.join(', ')}. The commit's counters are in the worker's log. Run the verifier, which compares the results with the topic, and report the bug`,
  )
}
