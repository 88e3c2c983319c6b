/**
 * Rows as two texts: a key and the values, each a JSON array. The recomputation and the readers of all stores convert
 * their rows to this form, so that rows are compared as text. Times are milliseconds since the epoch.
 */
import type { Aggregation, Measure, Rules } from './spec.ts'

export type Cell = string | number | boolean | null | number[]
export type Rows = Map<string, string>

export interface Table {
  name: string
  key: string[]
  values: string[]
  rows: Rows
}

export function rowText(cells: Cell[]): string {
  return JSON.stringify(cells)
}

/** Returns a time as a cell; infinite times become text, because JSON has no number for them. */
export function timeCell(time: number): Cell {
  return Number.isFinite(time) ? time : time < 0 ? '-infinity' : 'infinity'
}

/** Returns the canonical text of a number from PostgreSQL or a document: no trailing zeros, no negative zero. */
export function numberText(text: string): string {
  const plain = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  return plain === '-0' ? '0' : plain
}

/** Returns the table columns of a measure. */
export function measureColumns({ name, op, hasExactSum }: Measure): string[] {
  return [...(hasExactSum ? [`${name}_sum`] : []), ...(op === 'average' ? [`${name}_count`] : []), name]
}

export function aggregationColumns(aggregation: Aggregation): { key: string[]; values: string[] } {
  return {
    key: ['window_start', ...aggregation.groupBy],
    values: ['window_end', ...aggregation.measures.flatMap(measureColumns)],
  }
}

/** Returns the column that marks partial windows: `partial`, with a `_` before it for each name that is in use. */
export function markColumn(aggregation: Aggregation): string {
  const { key, values } = aggregationColumns(aggregation)
  return unused('partial', [...key, ...values])
}

/** Returns the field of a document that marks partial windows. */
export function markField(aggregation: Aggregation, fields: Record<string, string>): string {
  const { key, values } = aggregationColumns(aggregation)
  const shown = [...key, ...values, 'final', 'updated_at'].map(column =>
    Object.hasOwn(fields, column) ? fields[column]! : column,
  )
  const mark = markColumn(aggregation)
  return unused(Object.hasOwn(fields, mark) ? fields[mark]! : mark, shown)
}

function unused(name: string, used: string[]): string {
  let free = name
  while (used.includes(free)) free = `_${free}`
  return free
}

export function rawColumns(rules: Rules): { key: string[]; values: string[] } {
  const fields = [...rules.fields, ...(rules.explode?.fields ?? [])].map(({ name }) => name)
  return { key: ['partition', 'record_offset', 'line'], values: ['event_time', ...fields] }
}

export const LATE_COLUMNS = {
  key: ['partition', 'record_offset', 'aggregation'],
  values: ['event_time', 'missed', 'entirely', 'payload'],
}

export const DEAD_COLUMNS = {
  key: ['topic_id', 'partition', 'record_offset'],
  values: ['reason', 'field', 'record_key', 'payload'],
}
