/** Converts a stored row into the document that a projection shows (docs/tables.md, "Elasticsearch"). */
import { createHash } from 'node:crypto'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { documentField } from '#pipeline/names.ts'
import type { ProjectedRow } from '#processor/ports.ts'

/** A row as every store returns it: numbers as exact text, times in ms (±Infinity for a window over all time). */
export type StoredRow = {
  windowStart: number
  windowEnd: number
  /** One per group-by field. */
  keys: string[]
  /** One per CompiledColumn. */
  columns: string[]
  /** One per ShownColumn. */
  shown: string[]
  version: bigint
  final: boolean
  updatedAt: number
}

/** Returns the index of each projected aggregation, by the aggregation's name. */
export function projectionsOf(compiled: CompiledSpec): Map<string, string> {
  return new Map(compiled.spec.sinks.elasticsearch?.projections.map(p => [p.aggregation, p.index]))
}

/** Returns the SHA-256 of the canonical key, so that a row always has the same id. */
export function documentId(aggregation: string, windowStart: number, keys: string[]): string {
  const start = Number.isFinite(windowStart) ? new Date(windowStart).toISOString() : '-infinity'
  return createHash('sha256')
    .update(JSON.stringify([aggregation, start, ...keys]))
    .digest('hex')
}

export function projectedRow(compiled: CompiledSpec, aggregation: number, row: StoredRow): ProjectedRow {
  const { name } = compiled.aggregations[aggregation]!
  return {
    aggregation,
    id: documentId(name, row.windowStart, row.keys),
    version: row.version,
    document: documentOf(compiled, aggregation, row),
    updatedAt: row.updatedAt,
  }
}

function documentOf(
  compiled: CompiledSpec,
  aggregation: number,
  row: StoredRow,
): NonNullable<ProjectedRow['document']> {
  const { name, keys, columns, shown } = compiled.aggregations[aggregation]!
  const fields: [string, string | number | boolean][] = []
  for (const [column, ms] of [
    ['window_start', row.windowStart],
    ['window_end', row.windowEnd],
  ] as const)
    if (Number.isFinite(ms)) fields.push([column, new Date(ms).toISOString()])
  keys.forEach((k, i) => {
    const { name, type } = compiled.fields[k]!
    fields.push([name, type === 'boolean' ? row.keys[i] === 'true' : row.keys[i]!])
  })
  columns.forEach((column, i) => {
    fields.push([column.name, column.source === 'count' ? Number(row.columns[i]) : row.columns[i]!])
  })
  shown.forEach((column, i) => {
    fields.push([column.name, row.shown[i]!])
  })
  fields.push(['final', row.final], ['updated_at', new Date(row.updatedAt).toISOString()])
  const projection = compiled.spec.sinks.elasticsearch?.projections.find(p => p.aggregation === name)
  return Object.fromEntries(fields.map(([column, value]) => [documentField(projection?.fields, column), value]))
}
