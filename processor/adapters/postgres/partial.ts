/** Marks windows that may lack records (docs/semantics.md, section 5), when a claim or a commit shows which ones. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { PartitionCommit } from '#processor/core/commit.ts'
import { type MissingTimes, missingTimes, type Stretch } from '#processor/core/gaps.ts'
import type { AggregateStatements } from './aggregate-statements.ts'
import type { Query } from './batches.ts'
import type { Session } from './connections.ts'
import type { Statements } from './statements.ts'
import { timestampText } from './values.ts'

export type PartialContext = { statements: Statements; aggregates: AggregateStatements[]; compiled: CompiledSpec }

/** Index of an aggregation → how long after a partition's first event its records may be missing, ms. */
export type Awaiting = Map<number, number>

type HistoryRow = { from_offset: number; max_event_time: number | null; recorded: boolean; document: string }

/** Runs in the transaction of a claim that may end a gap. Resolves with what the partition's first event decides. */
export async function markGaps(session: Session, context: PartialContext, partition: number): Promise<Awaiting> {
  const { rows } = await session.query<HistoryRow>(context.statements.history, [partition])
  const stretches = rows.map(stretchOf)
  const awaiting: Awaiting = new Map()
  for (const i of byName(context)) {
    const missing = missingTimes(stretches, context.compiled.aggregations[i]!.name)
    if (missing && 'awaits' in missing) awaiting.set(i, missing.awaits)
    else if (missing)
      for (const { text, values } of widenQueries(context, i, missing)) await session.query(text, values)
  }
  return awaiting
}

/** Returns the statements of a commit that counts the first event of partitions. `awaiting`: by partition. */
export function firstEventQueries(
  context: PartialContext,
  partitions: PartitionCommit[],
  awaiting: ReadonlyMap<number, Awaiting>,
): Query[] {
  const first = partitions.filter(p => p.firstEventTime !== null && awaiting.get(p.partition)?.size)
  if (first.length === 0) return []
  return byName(context).flatMap(i => {
    const ends = first.flatMap(p => {
      const waits = awaiting.get(p.partition)!.get(i)
      return waits === undefined ? [] : [p.firstEventTime! + waits]
    })
    return ends.length > 0
      ? widenQueries(context, i, { after: Number.NEGATIVE_INFINITY, until: Math.max(...ends) })
      : []
  })
}

/** Indices of the aggregations. Tables are locked in the order of their names, as in commits. */
export function byName({ compiled: { aggregations } }: Pick<PartialContext, 'compiled'>): number[] {
  return aggregations.map((_, i) => i).sort((a, b) => (aggregations[a]!.name < aggregations[b]!.name ? -1 : 1))
}

function widenQueries({ aggregates, compiled }: PartialContext, i: number, { after, until }: MissingTimes): Query[] {
  const { lock, widen, markPartial } = aggregates[i]!
  const { name } = compiled.aggregations[i]!
  return [
    { name: `lock-${i}`, text: lock, values: [] },
    { name: `widen-${i}`, text: widen, values: [name, timestampText(after), timestampText(until)] },
    { name: `mark-${i}`, text: markPartial, values: [name] },
  ]
}

function stretchOf({ from_offset, max_event_time, recorded, document }: HistoryRow): Stretch {
  const { spec } = JSON.parse(document) as SalesPipeline
  return { fromOffset: from_offset, maxEventTime: max_event_time, isRecorded: recorded, spec }
}
