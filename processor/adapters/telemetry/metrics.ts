/** All metrics of a worker. Labels are few: partition, aggregation, reason, kind, law, code. */
import { totalmem } from 'node:os'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { DEAD_REASONS } from '#processor/core/dead-reasons.ts'
import { LAWS } from './conservation.ts'
import { DelayHistogram } from './delay-histogram.ts'

/** Seconds. Commits take milliseconds; lock and statement time-outs end the slowest. */
const COMMIT_BOUNDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]

export type Metrics = ReturnType<typeof createMetrics>

/** Creates a registry whose series all have the label `pipeline`. Series with known label values start at 0. */
export function createMetrics(pipeline: string, compiled: CompiledSpec) {
  const registry = new Registry()
  registry.setDefaultLabels({ pipeline })
  collectDefaultMetrics({ register: registry })
  const metrics = { registry, ...counters(registry), ...gauges(registry), ...histograms(registry) }

  // The watermark has no value until it is known, because 0 would mean 1970.
  metrics.watermark.remove()
  const limit = process.constrainedMemory()
  // Without a limit, the kernel reports a value larger than any machine's memory.
  if (limit > 0 && limit <= totalmem()) metrics.memoryLimit.set(limit)
  else metrics.memoryLimit.remove()
  for (const reason of DEAD_REASONS) metrics.deadLetters.inc({ reason }, 0)
  for (const kind of ['fenced', 'rejected', 'retryable']) metrics.commitFailures.inc({ kind }, 0)
  for (const law of LAWS) metrics.conservation.set({ law }, 0)
  for (const { name: aggregation } of compiled.aggregations)
    for (const metric of [metrics.late, metrics.partlyLate, metrics.missedWindows]) metric.inc({ aggregation }, 0)
  return metrics
}

function counters(registry: Registry) {
  const counter = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name: `salespipeline_${name}_total`, help, labelNames, registers: [registry] })
  return {
    fetchedBytes: counter('fetched_bytes', 'Bytes of record batches fetched from Kafka', 'partition'),
    records: counter('records', 'Records read and committed, including duplicates and dead letters', 'partition'),
    skipped: counter('skipped_offsets', 'Offsets skipped: control records, aborted records and gaps', 'partition'),
    accepted: counter('accepted', 'Accepted records: neither dead letters nor duplicates', 'partition'),
    duplicates: counter('duplicates', 'Records recognised as duplicates', 'partition'),
    deadLetters: counter('dead_letters', 'Records that cannot be used', 'reason'),
    late: counter('late_events', 'Accepted records that missed all their windows', 'aggregation'),
    partlyLate: counter('partly_late_events', 'Accepted records that missed some of their windows', 'aggregation'),
    missedWindows: counter(
      'missed_windows',
      'Windows that were already closed when an accepted record for them arrived',
      'aggregation',
    ),
    busySeconds: counter(
      'busy_seconds',
      'Time spent working, without waiting. The number of records divided by this time is the capacity of the worker',
    ),
    commits: counter('commits', 'Acknowledged PostgreSQL commits'),
    commitFailures: counter('commit_failures', 'Commits that failed', 'kind'),
    rebalances: counter('rebalances', 'Number of times the partitions assigned to this worker changed'),
    finalised: counter('finalised_windows', 'Windows that this worker made final'),
    removed: counter('removed_rows', 'Rows that this worker deleted because they were older than the retention time'),
    projectedRows: counter('projected_rows', 'Rows that the projection’s sink confirmed'),
    projectionFaults: counter('projection_faults', 'Rows that the projection’s sink rejected'),
  }
}

function gauges(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
    new Gauge({ name: `salespipeline_${name}`, help, labelNames, registers: [registry] })
  return {
    assigned: gauge('assigned_partitions', 'Partitions assigned to this worker'),
    lag: gauge('lag_records', 'Offsets between the high watermark and the committed offset', 'partition'),
    undecided: gauge(
      'undecided_records',
      'Offsets between the high watermark and the last stable offset: the part of the lag that nobody can read before open transactions end',
      'partition',
    ),
    uncommitted: gauge('uncommitted_records', 'Records that this worker has read but not committed', 'partition'),
    partitionWatermark: gauge(
      'partition_watermark_timestamp_seconds',
      'Event time that the partition has reached, in Unix time',
      'partition',
    ),
    watermark: gauge(
      'watermark_timestamp_seconds',
      'Pipeline watermark in Unix time, as this worker last computed or saw it; take the max over workers',
    ),
    busy: gauge('busy_ratio', 'Share of time spent working rather than waiting, 0 to 1'),
    conservation: gauge(
      'conservation_violation',
      'Difference between record counts that must be equal, by the rule that is broken; any value other than 0 is a bug',
      'law',
    ),
    projectionPending: gauge('projection_pending_rows', 'Rows that wait to be projected'),
    condition: gauge('condition', '1 while the condition with this code is active, else 0', 'code'),
    memoryLimit: gauge('memory_limit_bytes', 'Memory above which the kernel kills this worker; absent without a limit'),
  }
}

function histograms(registry: Registry) {
  const duration = (name: string, help: string) =>
    new Histogram({ name: `salespipeline_${name}_seconds`, help, buckets: COMMIT_BOUNDS, registers: [registry] })
  return {
    commitDuration: duration('commit_duration', 'Time from the start of a commit to its acknowledgement'),
    projectionDuration: duration(
      'projection_duration',
      'Time from the start of a write to Elasticsearch until Elasticsearch confirms it, per batch',
    ),
    endToEndDelay: new DelayHistogram(
      registry,
      'salespipeline_end_to_end_delay_seconds',
      'End-to-end delay per record: time from the creation of the record until the commit that contains it is acknowledged',
    ),
    projectionDelay: new DelayHistogram(
      registry,
      'salespipeline_projection_delay_seconds',
      'Time from the newest commit of a row until Elasticsearch confirms the row',
    ),
  }
}
