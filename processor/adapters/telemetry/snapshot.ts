/** The worker's state as one JSON object, read from the metrics so that both always agree. */
import type { Counter, Gauge } from 'prom-client'
import type { HealthReport } from './health.ts'
import type { Metrics } from './metrics.ts'
import type { ProofReport } from './proof.ts'
import type { Percentiles } from './recent-delays.ts'

export type Snapshot = {
  pipeline: string
  worker: string
  /** ms since the epoch. */
  at: number
  health: HealthReport
  conditions: Record<string, string>
  proof: ProofReport
  /** Totals since the worker started. */
  counters: Record<(typeof COUNTERS)[number], number>
  assigned: number
  /** `undecided`: the part of the lag that cannot be read before open transactions end. */
  partitions: { partition: number; lag: number; undecided: number; uncommitted: number; watermark: number | null }[]
  /** ms since the epoch; null while this worker does not know it. */
  watermark: number | null
  /** Seconds, over the last 10 s; null when nothing was measured in them. */
  endToEndDelay: Percentiles | null
  projectionDelay: Percentiles | null
  /** 0 to 1. */
  busy: number
  projectionPending: number
}

const COUNTERS = [
  'fetchedBytes',
  'records',
  'skipped',
  'accepted',
  'duplicates',
  'deadLetters',
  'late',
  'partlyLate',
  'missedWindows',
  'busySeconds',
  'commits',
  'commitFailures',
  'rebalances',
  'finalised',
  'removed',
  'projectedRows',
  'projectionFaults',
] as const

type Measured = 'counters' | 'assigned' | 'partitions' | 'watermark' | 'busy' | 'projectionPending'

/** Returns the part of the snapshot that comes from the metrics. */
export async function measure(metrics: Metrics): Promise<Pick<Snapshot, Measured>> {
  const totals = await Promise.all(COUNTERS.map(async name => [name, await total(metrics[name])] as const))
  const [pipelineWatermark] = (await metrics.watermark.get()).values
  return {
    counters: Object.fromEntries(totals) as Snapshot['counters'],
    assigned: await total(metrics.assigned),
    partitions: await partitions(metrics),
    watermark: pipelineWatermark ? Math.round(pipelineWatermark.value * 1000) : null,
    busy: await total(metrics.busy),
    projectionPending: await total(metrics.projectionPending),
  }
}

async function partitions(metrics: Metrics): Promise<Snapshot['partitions']> {
  const byPartition = async (metric: Pick<Gauge, 'get'>) =>
    new Map((await metric.get()).values.map(v => [Number(v.labels.partition), v.value]))
  const gauges = [metrics.partitionWatermark, metrics.uncommitted, metrics.undecided]
  const [seconds, uncommitted, undecided] = await Promise.all(gauges.map(byPartition))
  return (await metrics.lag.get()).values
    .map(({ labels, value }) => {
      const partition = Number(labels.partition)
      const watermark = seconds!.get(partition)
      return {
        partition,
        lag: value,
        undecided: undecided!.get(partition) ?? 0,
        uncommitted: uncommitted!.get(partition) ?? 0,
        watermark: watermark === undefined ? null : Math.round(watermark * 1000),
      }
    })
    .sort((a, b) => a.partition - b.partition)
}

async function total(metric: Pick<Counter | Gauge, 'get'>): Promise<number> {
  return (await metric.get()).values.reduce((sum, v) => sum + v.value, 0)
}
