/**
 * Sends a commit as one pipelined transaction, including COMMIT (docs/semantics.md, section 3):
 *
 *   1. progress rows: locked in order, then advanced if they are at the commit's start; otherwise all is rolled back.
 *   2. counters of the aggregations.
 *   3. aggregate rows: tables by name, rows by key. If a partition's first event shows that windows are partial, their
 *      rows are marked first.
 *   4. late events, dead letters, raw sales.
 */
import type { CompiledAggregation, CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { AggregateRows, Commit, DeadLetter, LateEvent, PartitionCommit, RawSale } from '#processor/core/commit.ts'
import { decimalText } from '#processor/core/exact.ts'
import { windowEnd } from '#processor/core/window.ts'
import { type AggregateStatements, isCount } from './aggregate-statements.ts'
import { batchesOf, type Query, windowGroups } from './batches.ts'
import type { Committer } from './connections.ts'
import { type Awaiting, firstEventQueries } from './partial.ts'
import type { Statements } from './statements.ts'
import { sendTransaction } from './transaction.ts'
import { plainArray, storableText, timestampText } from './values.ts'

export type CommitContext = {
  compiled: CompiledSpec
  topicId: string
  statements: Statements
  /** By the aggregation's index. */
  aggregates: AggregateStatements[]
  raw: { insert: string } | null
  /** What the first event of a partition decides. */
  awaiting: ReadonlyMap<number, Awaiting>
}

/** Returns all statements between BEGIN and COMMIT. */
export function commitQueries(context: CommitContext, commit: Commit): Query[] {
  const partitions = [...commit.partitions].sort((a, b) => a.partition - b.partition)
  return [
    ...progressQueries(context, partitions),
    ...firstEventQueries(context, partitions, context.awaiting),
    ...byTableName(context.compiled, commit.aggregates).flatMap(rows => aggregateQueries(context, rows, commit.traces)),
    ...batchesOf(commit.late, late => late.payload.length).map(batch => lateQuery(context, batch)),
    ...batchesOf(commit.dead, dead => dead.payload?.length ?? 0).map(batch => deadQuery(context, batch)),
    ...batchesOf(commit.raw, () => 0).map(batch => rawQuery(context, batch)),
  ]
}

/** Sends a commit. Behind a pooler, the next transaction may have another server, which does not know our statements. */
export async function sendCommit(
  { client, backendPid }: Committer,
  begin: string,
  queries: Query[],
  beforeCommit: string,
): Promise<void> {
  const known = backendPid === null ? queries.map(({ text, values }) => ({ text, values })) : queries
  await sendTransaction(client, begin, [...known, beforeCommit])
}

function progressQueries({ compiled, statements }: CommitContext, partitions: PartitionCommit[]): Query[] {
  const column = (value: (p: PartitionCommit) => number | string | null) => plainArray(partitions.map(value))
  const numbers = column(p => p.partition)
  const counters = partitions.flatMap(p =>
    p.aggregations.map((counts, i) => ({ partition: p.partition, name: compiled.aggregations[i]!.name, counts })),
  )
  const count = (value: (c: PartitionCommit['aggregations'][number]) => number) =>
    plainArray(counters.map(c => value(c.counts)))
  return [
    { name: 'lock-progress', text: statements.lockProgress, values: [numbers] },
    {
      name: 'advance-progress',
      text: statements.advanceProgress,
      values: [
        numbers,
        column(p => p.epoch),
        partitions.map(p => p.token),
        column(p => p.fromOffset),
        column(p => p.fromLine),
        column(p => p.nextOffset),
        column(p => p.nextLine),
        column(p => p.restoreOffset),
        column(p => p.restoreMaxEventTime),
        column(p => p.maxEventTime),
        column(p => p.leaderEpoch),
        column(p => p.counters.records),
        column(p => p.counters.skipped),
        column(p => p.counters.dead),
        column(p => p.counters.duplicate),
        column(p => p.counters.accepted),
        column(p => p.agreedTime),
        partitions.map(p => p.sources),
        partitions.length,
      ],
    },
    {
      name: 'count-aggregations',
      text: statements.countAggregations,
      values: [
        plainArray(counters.map(c => c.partition)),
        plainArray(counters.map(c => c.name)),
        count(c => c.late),
        count(c => c.onTime),
        count(c => c.partlyLate),
        count(c => c.missedWindows),
        count(c => c.added),
        count(c => c.missed),
      ],
    },
  ]
}

/** Sorts by table name, independent of the spec's order, so that workers of two generations cannot deadlock. */
function byTableName(compiled: CompiledSpec, aggregates: AggregateRows[]): AggregateRows[] {
  const name = (rows: AggregateRows) => compiled.aggregations[rows.aggregation]!.name
  return aggregates.filter(rows => rows.windowStart.length > 0).sort((a, b) => (name(a) < name(b) ? -1 : 1))
}

function aggregateQueries(context: CommitContext, rows: AggregateRows, traces: string[]): Query[] {
  const aggregation = context.compiled.aggregations[rows.aggregation]!
  const keyTypes = aggregation.keys.map(k => context.compiled.fields[k]!.type)
  return windowGroups(rows).map(group => ({
    name: `upsert-${rows.aggregation}`,
    text: context.aggregates[rows.aggregation]!.upsert,
    values: [
      ...windowColumns(aggregation, group.windowStart),
      ...group.keys.map((values, k) => (keyTypes[k] === 'string' ? values : plainArray(values))),
      ...aggregation.columns.map((column, c) => {
        const amounts = group.columns[c]!
        return plainArray(isCount(column) ? amounts : amounts.map(amount => decimalText(amount, column.scale)))
      }),
      aggregation.name,
      traces.length > 0 ? traces : null,
    ],
  }))
}

/** Formats each window only once, because there are few windows for many rows. */
function windowColumns({ window }: CompiledAggregation, starts: number[]): [string, string] {
  const texts = new Map<number, [string, string]>()
  const ends: string[] = []
  const written = starts.map(start => {
    let text = texts.get(start)
    if (!text) {
      text = [timestampText(start), timestampText(windowEnd(window, start))]
      texts.set(start, text)
    }
    ends.push(text[1])
    return text[0]
  })
  return [plainArray(written), plainArray(ends)]
}

function lateQuery({ compiled, statements }: CommitContext, late: LateEvent[]): Query {
  return {
    name: 'insert-late',
    text: statements.insertLate,
    values: [
      plainArray(late.map(l => l.partition)),
      plainArray(late.map(l => l.offset)),
      plainArray(late.map(l => compiled.aggregations[l.aggregation]!.name)),
      plainArray(late.map(l => timestampText(l.eventTime))),
      late.map(l => plainArray(l.missed.toSorted((a, b) => a - b).map(timestampText))),
      plainArray(late.map(l => l.entirely)),
      late.map(l => l.payload),
    ],
  }
}

function deadQuery({ topicId, statements }: CommitContext, dead: DeadLetter[]): Query {
  return {
    name: 'insert-dead',
    text: statements.insertDead,
    values: [
      topicId,
      plainArray(dead.map(d => d.partition)),
      plainArray(dead.map(d => d.offset)),
      plainArray(dead.map(d => d.reason)),
      dead.map(d => d.field && storableText(d.field)),
      plainArray(dead.map(d => timestampText(d.recordTimestamp))),
      dead.map(d => d.key),
      dead.map(d => JSON.stringify(d.headers.map(header => header.map(storableText)))),
      dead.map(d => d.payload),
      plainArray(dead.map(d => d.payloadBytes)),
      dead.map(d => d.payloadSha256),
      dead.map(d => d.detail && storableText(d.detail)),
      plainArray(dead.map(d => d.countedLines)),
    ],
  }
}

function rawQuery({ compiled, raw }: CommitContext, sales: RawSale[]): Query {
  return {
    name: 'insert-raw',
    text: raw!.insert,
    values: [
      plainArray(sales.map(s => s.partition)),
      plainArray(sales.map(s => s.offset)),
      plainArray(sales.map(s => s.line)),
      plainArray(sales.map(s => timestampText(s.eventTime))),
      ...compiled.fields.map((field, f) => {
        const values = sales.map(s => s.values[f]!)
        return field.type === 'string' ? values : plainArray(values)
      }),
    ],
  }
}
