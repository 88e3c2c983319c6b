/** Samples rows that the sink must have, and rebuilds projections: all their rows are written again. */
import type { ProjectedRow, Rebuild } from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import { byName } from './partial.ts'
import { type OutboxContext, type ReadRow, type SnapshotContext, toProjected } from './snapshot.ts'

/** Rows at each end of a table, and rows in all, so that a check is one small request however many tables there are. */
const MAX_END_ROWS = 20
const MAX_ROWS = 400

type SampledRow = ReadRow & { aggregation: number }

/** Returns the first and the last rows of each projected table, without those that wait or were rejected. */
export async function sample(context: SnapshotContext, projections: unknown[]): Promise<ProjectedRow[]> {
  const { connections, statements, compiled, aggregates } = context
  const checkable = await connections.query<{ name: string }>(statements.checkable, projections)
  const names = compiled.aggregations.map(({ name }) => name)
  const ends = checkable.rows.map(({ name }) => names.indexOf(name)).map(i => aggregates[i]!.ends(i))
  if (ends.length === 0) return []
  const limit = Math.min(MAX_END_ROWS, Math.max(1, Math.floor(MAX_ROWS / 2 / ends.length)))
  const found = await connections.query<SampledRow>(statements.sample(ends), [limit, names])
  const rows = found.rows.map(row => toProjected(context, row.aggregation, row))
  const rejected = await connections.query<{ id: string }>(statements.rejectedAmong, [rows.map(({ id }) => id)])
  const ids = new Set(rejected.rows.map(({ id }) => id))
  return rows.filter(({ id }) => !ids.has(id))
}

/** Begins rebuilds; the upkeep lists their rows (upkeep.ts). */
export async function rebuild(context: OutboxContext, aggregations: number[]): Promise<void> {
  const { connections, compiled, aggregates } = context
  const chosen = byName(context).filter(i => aggregations.includes(i))
  await connections.longTransaction(async session => {
    for (const i of chosen) await session.query(aggregates[i]!.beginRebuild, [compiled.aggregations[i]!.name, false])
  })
}

export async function rebuilds(
  { connections, statements, compiled }: Pick<OutboxContext, 'connections' | 'statements' | 'compiled'>,
  projections: unknown[],
): Promise<Rebuild[]> {
  const { rows } = await connections.query<{ name: string; rows: number; waiting: number }>(
    statements.rebuilds,
    projections,
  )
  if (rows.some(({ waiting }) => waiting === 0)) await connections.query(statements.endRebuilds)
  const indices = projectionsOf(compiled)
  return rows
    .filter(({ waiting }) => waiting > 0)
    .map(({ name, rows, waiting }) => ({ index: indices.get(name)!, rows, written: Math.max(0, rows - waiting) }))
}
