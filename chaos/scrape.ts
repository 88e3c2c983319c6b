/** Reads a worker's /metrics and /status without code of the worker. */
/** A histogram: upper bounds of the buckets in seconds, the last is Infinity, and cumulative counts. */
export type Buckets = { bounds: number[]; counts: number[] }

/** One worker at one moment. Counters begin at the start of its process. */
export type Reading = {
  pod: string
  /** Start of its process by its own clock, ms since the epoch. It identifies the process, because counters restart. */
  startedAt: number
  /** Number of partitions of the topic; 0 until the worker knows it. */
  topicPartitions: number
  /** Lag by partition, for those that it owns. */
  lag: Map<number, number>
  records: Map<number, number>
  /** Rows that wait to be projected. */
  pending: number
  delay: Buckets
  projection: Buckets
}

type Status = { worker: string; startedAt: number; topicPartitions: number }

/** Throws an Error if the responses are not those of a worker, or are those of another pod. */
export function readingOf(pod: string, status: string, metrics: string): Reading {
  const { worker, startedAt, topicPartitions } = JSON.parse(status) as Status
  if (worker !== pod)
    throw new Error(
      `expected a response from pod ${pod}, but worker ${worker} responded; the pod IP may have been reused`,
    )
  return {
    pod,
    startedAt,
    topicPartitions,
    lag: byPartition(metrics, 'salespipeline_lag_records'),
    records: byPartition(metrics, 'salespipeline_records_total'),
    pending: seriesOf(metrics, 'salespipeline_projection_pending_rows')[0]?.[1] ?? 0,
    delay: bucketsOf(pod, metrics, 'salespipeline_end_to_end_delay_seconds'),
    projection: bucketsOf(pod, metrics, 'salespipeline_projection_delay_seconds'),
  }
}

function byPartition(metrics: string, name: string): Map<number, number> {
  const series = seriesOf(metrics, name).map(([labels, value]) => [label(labels, 'partition'), value] as const)
  return new Map(series.flatMap(([partition, value]) => (partition === null ? [] : [[Number(partition), value]])))
}

function bucketsOf(pod: string, metrics: string, name: string): Buckets {
  const buckets = seriesOf(metrics, `${name}_bucket`)
    .map(([labels, count]) => ({ bound: Number(label(labels, 'le')?.replace('+Inf', 'Infinity')), count }))
    .sort((a, b) => a.bound - b.bound)
  if (buckets.length === 0)
    throw new Error(
      `/metrics of pod ${pod} has no metric ${name}; check that the worker and the chaos tool are from the same release`,
    )
  return { bounds: buckets.map(({ bound }) => bound), counts: buckets.map(({ count }) => count) }
}

function seriesOf(metrics: string, name: string): [labels: string, value: number][] {
  const lines = metrics.matchAll(new RegExp(`^${name}(?:\\{([^}]*)\\})? (\\S+)`, 'gm'))
  return [...lines].map(([, labels = '', value]) => [labels, Number(value)])
}

function label(labels: string, name: string): string | null {
  return new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? null
}
