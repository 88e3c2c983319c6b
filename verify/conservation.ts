/** Conservation (section 6): checks the engine's counters against each other and against the recomputation. */
import type { PartitionRange } from './log.ts'
import type { AggregationCounters, History, PartitionState, Recomputation } from './recompute.ts'
import type { AggregationProgress, ProgressRow, Tables } from './tables.ts'

const CHECK_WORKERS = 'check that workers run and that the partition is assigned, then verify again'

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
    if (!row) return [`the table progress has no row for partition ${range.partition}; ${CHECK_WORKERS}`]
    return checkPartition(row, range, recomputation.partition(range.partition), history.topicId)
  })
  for (const { partition, aggregation, counters } of await tables.aggregationProgress()) {
    const expected = recomputation.partition(partition).aggregations.get(aggregation)
    problems.push(
      ...checkAggregation(`table progress_aggregations, partition ${partition}, ${aggregation}`, counters, expected),
    )
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
  if (row.firstOffset === null || row.nextOffset === null) {
    return end === 0
      ? []
      : [
          `no worker has read partition ${partition} yet, but it has records up to offset ${end}; check that workers run`,
        ]
  }
  const { records, skipped, dead, duplicate, accepted } = row
  const where = `table progress, partition ${partition}`
  const advanced = row.nextOffset - row.firstOffset
  return [
    ...notAtEnd(partition, row.nextOffset, end),
    ...balanced(where, ['records + skipped', records + skipped], ['next_offset - first_offset', advanced]),
    ...balanced(where, ['dead + duplicate + accepted', dead + duplicate + accepted], ['records', records]),
    ...equal(`${where}: records`, state.records, records),
    ...equal(`${where}: dead`, state.dead, dead),
    ...equal(`${where}: duplicate`, state.duplicate, duplicate),
    ...equal(`${where}: accepted`, state.accepted, accepted),
    ...equal(`${where}: max_event_time`, finiteOrNull(state.maxEventTime), row.maxEventTime),
    ...equal(`${where}: agreed_time`, state.agreement && finiteOrNull(state.agreement.time), row.agreedTime),
    ...equal(`${where}: topic_id`, topicId, row.topicId),
  ]
}

/** Returns a problem if a pipeline has committed less or more than the topic had when it was read. */
function notAtEnd(partition: number, nextOffset: number, end: number): string[] {
  if (nextOffset === end) return []
  const why =
    nextOffset < end
      ? 'the pipeline has not read all records; wait and verify again, or pass --running'
      : 'the topic has grown; stop the producers and verify again, or pass --running'
  return [`partition ${partition}: committed up to offset ${nextOffset}, but the topic ended at offset ${end}: ${why}`]
}

/** Returns the contradictions of one row of `progress_aggregations`. Exported for tests. */
export function checkAggregation(
  where: string,
  counters: AggregationProgress,
  expected: AggregationCounters | undefined,
): string[] {
  const { accepted = 0, ...rest } = expected ?? {}
  return [
    ...balanced(where, ['late + on_time', counters.late! + counters.on_time!], ['accepted', accepted]),
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
      .map(
        name =>
          `the table progress_aggregations has no row for partition ${partition}, aggregation ${name}; ${CHECK_WORKERS}`,
      ),
  )
}

type Sum = [formula: string, value: number]

function balanced(where: string, [formula, value]: Sum, [expectedFormula, expected]: Sum): string[] {
  if (value === expected) return []
  return [
    `${where}: ${formula} is ${value}, but ${expectedFormula} is ${expected}. This is a bug; report it with this output`,
  ]
}

function equal(what: string, expected: string | number | null, found: string | number | null): string[] {
  return expected === found ? [] : [`${what}: expected ${expected}, found ${found}`]
}

function finiteOrNull(time: number): number | null {
  return Number.isFinite(time) ? time : null
}
