/** Conservation (section 6): checks the engine's counters against each other and against the recomputation. */
import type { PartitionRange } from './log.ts'
import type { AggregationCounters, History, PartitionState, Recomputation } from './recompute.ts'
import type { AggregationProgress, ProgressRow, Tables } from './tables.ts'

/** Resolves with all contradictions, one sentence each. */
export async function checkProgress(
  tables: Tables,
  ranges: PartitionRange[],
  recomputation: Recomputation,
  history: History,
): Promise<string[]> {
  const rows = new Map((await tables.progress()).map(row => [row.partition, row]))
  const problems = ranges.flatMap(range => {
    const row = rows.get(range.partition)
    if (!row) return [`the table progress has no row for partition ${range.partition}`]
    return checkPartition(row, range, recomputation.partition(range.partition), history.topicId)
  })
  for (const { partition, aggregation, counters } of await tables.aggregationProgress()) {
    const expected = recomputation.partition(partition).aggregations.get(aggregation)
    problems.push(...checkAggregation(`partition ${partition}, ${aggregation}`, counters, expected))
  }
  return [...problems, ...(await missingCounters(tables, recomputation))]
}

/** Returns the contradictions of one row of `progress`. Exported for tests. */
export function checkPartition(
  row: ProgressRow,
  { partition, end }: PartitionRange,
  state: PartitionState,
  topicId: string,
): string[] {
  const where = `partition ${partition}`
  if (row.firstOffset === null || row.nextOffset === null) {
    return end === 0
      ? []
      : [`no worker has read ${where} yet, but it has records up to offset ${end}; check that workers run`]
  }
  const { records, skipped, dead, duplicate, accepted } = row
  const advanced = row.nextOffset - row.firstOffset
  return [
    ...equal(`${where}: next_offset (${whyNotAtEnd(row.nextOffset, end)})`, end, row.nextOffset),
    ...equal(`${where}: records + skipped`, advanced, records + skipped),
    ...equal(`${where}: dead + duplicate + accepted`, records, dead + duplicate + accepted),
    ...equal(`${where}: records`, state.records, records),
    ...equal(`${where}: dead`, state.dead, dead),
    ...equal(`${where}: duplicate`, state.duplicate, duplicate),
    ...equal(`${where}: accepted`, state.accepted, accepted),
    ...equal(`${where}: max_event_time`, finiteOrNull(state.maxEventTime), row.maxEventTime),
    ...equal(`${where}: topic_id`, topicId, row.topicId),
  ]
}

/** Returns why a pipeline has committed less or more than the topic had when it was read. */
function whyNotAtEnd(nextOffset: number, end: number): string {
  return nextOffset < end
    ? 'the pipeline has not read all records; wait and verify again, or pass --running'
    : 'the topic has grown; stop the producers and verify again, or pass --running'
}

/** Returns the contradictions of one row of `progress_aggregations`. Exported for tests. */
export function checkAggregation(
  where: string,
  counters: AggregationProgress,
  expected: AggregationCounters | undefined,
): string[] {
  const { accepted = 0, ...rest } = expected ?? {}
  return [
    ...equal(`${where}: late + on_time`, accepted, counters.late! + counters.on_time!),
    ...Object.keys(counters).flatMap(name =>
      equal(`${where}: ${name}`, (rest as AggregationProgress)[name] ?? 0, counters[name]!),
    ),
  ]
}

async function missingCounters(tables: Tables, recomputation: Recomputation): Promise<string[]> {
  const rows = await tables.aggregationProgress()
  const present = new Set(rows.map(({ partition, aggregation }) => `${partition}/${aggregation}`))
  return [...recomputation.partitions].flatMap(([partition, { aggregations }]) =>
    [...aggregations.keys()]
      .filter(name => !present.has(`${partition}/${name}`))
      .map(name => `the table progress_aggregations has no row for partition ${partition}, aggregation ${name}`),
  )
}

function equal(what: string, expected: string | number | null, found: string | number | null): string[] {
  return expected === found ? [] : [`${what}: expected ${expected}, found ${found}`]
}

function finiteOrNull(time: number): number | null {
  return Number.isFinite(time) ? time : null
}
