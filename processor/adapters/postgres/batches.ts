/** Splits the rows of one commit into statements of bounded size, without changing the order of locks. */
import type { AggregateRows } from '#processor/core/commit.ts'

export type Query = { name: string; text: string; values: unknown[] }

/** Larger statements gain nothing, and one that takes seconds to arrive would hit the idle-in-transaction time-out. */
const MAX_ROWS = 20_000
const MAX_BYTES = 8 << 20

/** Groups consecutive items so that each group has a bounded size; a larger item gets its own group. */
export function batchesOf<T>(items: T[], bytesOf: (item: T) => number): T[][] {
  const batches: T[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const item of items) {
    const size = bytesOf(item)
    if (bytes + size > MAX_BYTES || batches.at(-1)!.length >= MAX_ROWS) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)!.push(item)
    bytes += size
  }
  return batches
}

/**
 * Splits rows into groups of about MAX_ROWS, only between windows. Each statement sorts its rows by key, which starts
 * with the window, so all groups together lock rows in key order too.
 */
export function windowGroups(rows: AggregateRows): AggregateRows[] {
  const { windowStart } = rows
  if (windowStart.length <= MAX_ROWS) return [rows]
  const inOrder = windowStart.map((_, i) => i).sort((a, b) => windowStart[a]! - windowStart[b]! || a - b)
  const groups: number[][] = [[]]
  for (const i of inOrder) {
    const group = groups.at(-1)!
    const startsWindow = group.length > 0 && windowStart[i] !== windowStart[group.at(-1)!]
    if (startsWindow && group.length >= MAX_ROWS) groups.push([i])
    else group.push(i)
  }
  return groups.map(group => pick(rows, group))
}

function pick(rows: AggregateRows, indices: number[]): AggregateRows {
  const select = <T>(values: T[]) => indices.map(i => values[i]!)
  return {
    aggregation: rows.aggregation,
    windowStart: select(rows.windowStart),
    keys: rows.keys.map(select),
    columns: rows.columns.map(select),
  }
}
