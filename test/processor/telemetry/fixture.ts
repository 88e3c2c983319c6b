/** A compiled spec with two aggregations, commits with small numbers, and a scrape parsed into series. */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { createTelemetry, type TelemetryOptions } from '#processor/adapters/telemetry/telemetry.ts'
import type { AggregationCounters, Commit, PartitionCommit } from '#processor/core/commit.ts'
import type { Clock, ProjectedRow } from '#processor/ports.ts'

export const compiled: CompiledSpec = compileSpec(
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales }
spec:
  source: { topic: sales }
  event:
    time: { path: at }
    fields: [{ name: store }, { name: amount, type: decimal }]
  aggregations:
    - { name: by_store, groupBy: [store], measures: [{ name: revenue, op: sum, of: amount }] }
    - { name: overall, measures: [{ name: sales, op: count }] }
  sinks:
    elasticsearch:
      projections: [{ aggregation: by_store, index: sales-by-store }, { aggregation: overall, index: sales-overall }]
`).spec,
)

export const NOW = 1_800_000_000_000

export const clock: Clock = { now: () => NOW, sleep: async () => {} }

/** Returns telemetry and the log lines that it writes. */
export function telemetryForTest(options: Partial<TelemetryOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const logTo = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const telemetry = createTelemetry({
    pipeline: 'default/sales',
    worker: 'worker-1',
    compiled,
    clock,
    logLevel: 'debug',
    logTo,
    ...options,
  })
  return { telemetry, lines }
}

/** Returns counters that obey every law: 10 records and 2 other offsets from 100; 1 dead, 2 duplicates, 7 accepted. */
export function partitionCommit(partition: number, change: Partial<PartitionCommit> = {}): PartitionCommit {
  return {
    partition,
    epoch: 1,
    token: 't',
    fromOffset: 100,
    fromLine: 0,
    nextOffset: 112,
    nextLine: 0,
    restoreOffset: 0,
    restoreMaxEventTime: null,
    maxEventTime: NOW,
    agreedTime: null,
    sources: null,
    firstEventTime: null,
    leaderEpoch: 0,
    counters: { records: 10, skipped: 2, dead: 1, duplicate: 2, accepted: 7 },
    aggregations: [lateness({ late: 3, onTime: 4, partlyLate: 1, missedWindows: 5 }), lateness({ onTime: 7 })],
    ...change,
  }
}

export function lateness(change: Partial<AggregationCounters>): AggregationCounters {
  return { late: 0, onTime: 0, partlyLate: 0, missedWindows: 0, added: 0, missed: 0, ...change }
}

export function commitOf(...partitions: PartitionCommit[]): Commit {
  return { partitions, aggregates: [], late: [], dead: [], raw: [], traces: [] }
}

export function infoOf(createdAt: number[] = []) {
  return { startedAt: NOW - 30, endedAt: NOW, createdAt: Float64Array.from(createdAt) }
}

export function projectedRow(aggregation: number, updatedAt: number): ProjectedRow {
  return { aggregation, id: 'id', formerId: null, version: 1n, document: {}, updatedAt }
}

export const workOf = (...rows: ProjectedRow[]) => ({ entries: [1n], rows, traces: [] })

/** Returns our own metrics as series (name and labels without `pipeline`) → value. */
export async function scrape(registry: { metrics(): Promise<string> }): Promise<Map<string, number>> {
  const series = new Map<string, number>()
  for (const line of (await registry.metrics()).split('\n')) {
    const [, name, labels, value] = /^(salespipeline_\w+)\{(.*)\} (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const own = labels!.split(',').filter(label => label !== 'pipeline="default/sales"')
    series.set(own.length > 0 ? `${name}{${own.join(',')}}` : name, Number(value))
  }
  return series
}

/** Returns what `act` changed in the scrape (series → increment), without histograms of durations and delays. */
export async function moved(
  registry: { metrics(): Promise<string> },
  act: () => void,
): Promise<Record<string, number>> {
  const before = await scrape(registry)
  act()
  const after = await scrape(registry)
  const changes = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(
    changes.filter(([name, change]) => change !== 0 && !/_seconds_(bucket|sum|count)/.test(name)),
  )
}
