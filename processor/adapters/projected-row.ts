/** Converts a stored row into the document that a projection shows (docs/tables.md, "Elasticsearch"). */
import { createHash } from 'node:crypto'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { FIRST_EVENT_TIME, LAST_EVENT_TIME } from '#pipeline/limits.ts'
import { documentField, freeName } from '#pipeline/names.ts'
import type { Ownership, ProjectedRow } from '#processor/ports.ts'

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
  partial: boolean
  updatedAt: number
}

/** Returns the index of each projected aggregation, by the aggregation's name. */
export function projectionsOf(compiled: CompiledSpec): Map<string, string> {
  return new Map(compiled.spec.sinks.elasticsearch?.projections.map(p => [p.aggregation, p.index]))
}

/** How the rows of a projection are identified in its sink. */
export type Identification = Pick<Ownership, 'owner'> & {
  /** A release up to 0.3.0 may have written the rows, under ids without an owner. */
  replacing: boolean
}

/** Returns the start of the ids of all documents of an owner. */
export const idPrefix = (owner: string) => `${sha256(owner).slice(0, 32)}-`

/** Returns an id that is always the same for a row, and that no other owner has. */
export function documentIds(
  { owner, replacing }: Identification,
  aggregation: string,
  { windowStart, keys }: Pick<StoredRow, 'windowStart' | 'keys'>,
): Pick<ProjectedRow, 'id' | 'formerId'> {
  const start = Number.isFinite(windowStart) ? new Date(windowStart).toISOString() : '-infinity'
  const key = sha256(JSON.stringify([aggregation, start, ...keys]))
  return { id: idPrefix(owner) + key, formerId: replacing ? key : null }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

export function projectedRow(
  compiled: CompiledSpec,
  aggregation: number,
  row: StoredRow,
  identification: Identification,
): ProjectedRow {
  const { name } = compiled.aggregations[aggregation]!
  return {
    aggregation,
    ...documentIds(identification, name, row),
    version: row.version,
    document: documentOf(compiled, aggregation, row),
    updatedAt: row.updatedAt,
  }
}

/** Sinks read text only with a year of four digits, and numbers as milliseconds since 1970. A window may end in year 10000. */
function timeValue(ms: number): string | number {
  return ms >= FIRST_EVENT_TIME && ms <= LAST_EVENT_TIME ? new Date(ms).toISOString() : ms
}

function documentOf(
  compiled: CompiledSpec,
  aggregation: number,
  row: StoredRow,
): NonNullable<ProjectedRow['document']> {
  const { name, keys, columns, shown, mark } = compiled.aggregations[aggregation]!
  const fields: [string, string | number | boolean][] = []
  for (const [column, ms] of [
    ['window_start', row.windowStart],
    ['window_end', row.windowEnd],
  ] as const)
    if (Number.isFinite(ms)) fields.push([column, timeValue(ms)])
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
  const document = Object.fromEntries(
    fields.map(([column, value]) => [documentField(projection?.fields, column), value]),
  )
  return { ...document, [freeName(documentField(projection?.fields, mark), Object.keys(document))]: row.partial }
}
