/** Reads the rows that wait in the outbox. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { ProjectedRow, ProjectionWork } from '#processor/ports.ts'
import { documentIds, type Identification, projectedRow } from '../projected-row.ts'
import type { AggregateStatements } from './aggregate-statements.ts'
import type { Connections, Session } from './connections.ts'
import type { Statements } from './statements.ts'

export type OutboxContext = {
  connections: Connections
  statements: Statements
  aggregates: AggregateStatements[]
  compiled: CompiledSpec
}

/** A stored row. Numbers are text, so that none is rounded. */
export type ReadRow = {
  window_start: string
  window_end: string
  keys: string[]
  columns: string[]
  shown: string[]
  version: string
  final: boolean
  partial: boolean
  updated_at: string
}

/** `version` is null if the row was deleted. */
type SnapshotRow = Omit<ReadRow, 'version'> & {
  version: string | null
  removed_version: string | null
  created_at: string
}

export type SnapshotContext = OutboxContext & { identify(aggregation: string): Identification }

type Entry = { seq: string; aggregation: string; traces: string[] | null }

/** Entries, and their rows by the aggregation's index. */
export type OutboxSnapshot = { entries: Entry[]; found: [aggregation: number, rows: SnapshotRow[]][] }

/** Reads entries and rows. `session`: of a transaction with one snapshot. */
export async function snapshot(
  { statements, compiled, aggregates }: OutboxContext,
  session: Session,
  projections: unknown[],
  limit: number,
): Promise<OutboxSnapshot> {
  const { rows: entries } = await session.query<Entry>(statements.oldest, [...projections, limit])
  const numbers = entries.map(({ seq }) => seq)
  const found: OutboxSnapshot['found'] = []
  for (const [i, { name }] of compiled.aggregations.entries()) {
    if (!entries.some(entry => entry.aggregation === name)) continue
    const { rows } = await session.query<SnapshotRow>(aggregates[i]!.snapshot, [numbers, name])
    found.push([i, rows])
  }
  return { entries, found }
}

/** Takes a while for many rows, so call it after the transaction has ended. Returns null if there are no entries. */
export function workOf(context: SnapshotContext, { entries, found }: OutboxSnapshot): ProjectionWork | null {
  const rows = found.flatMap(([i, rows]) => rows.flatMap(row => toProjectedOrRemoved(context, i, row) ?? []))
  const traces = entries.flatMap(({ aggregation: name, traces }) => {
    const aggregation = context.compiled.aggregations.findIndex(a => a.name === name)
    return (traces ?? []).map(traceparent => ({ aggregation, traceparent }))
  })
  return entries.length > 0 ? { entries: entries.map(({ seq }) => BigInt(seq)), rows, traces } : null
}

/** Returns null if the row was deleted and the entry with its tombstone comes later. */
function toProjectedOrRemoved(context: SnapshotContext, aggregation: number, row: SnapshotRow): ProjectedRow | null {
  if (row.version !== null) return toProjected(context, aggregation, { ...row, version: row.version })
  if (row.removed_version === null) return null
  const { name } = context.compiled.aggregations[aggregation]!
  return {
    aggregation,
    ...documentIds(context.identify(name), name, { windowStart: Number(row.window_start), keys: row.keys }),
    version: BigInt(row.removed_version),
    document: null,
    updatedAt: Math.floor(Number(row.created_at)),
  }
}

export function toProjected(context: SnapshotContext, aggregation: number, row: ReadRow): ProjectedRow {
  const { compiled, identify } = context
  const { keys, columns, shown, final, partial } = row
  const windowStart = Number(row.window_start)
  const windowEnd = Number(row.window_end)
  const updatedAt = Math.floor(Number(row.updated_at))
  const version = BigInt(row.version)
  const stored = { windowStart, windowEnd, keys, columns, shown, version, final, partial, updatedAt }
  return projectedRow(compiled, aggregation, stored, identify(compiled.aggregations[aggregation]!.name))
}
