/** Cuts what one commit writes into statements of bounded size, without disturbing the order of locks. */
import type { AggregateRows } from '#processor/core/commit.ts'

export type Query = { name: string; text: string; values: unknown[] }

/** Larger statements gain nothing; one that takes seconds to arrive would run into the idle-in-transaction time-out. */
const MAX_ROWS = 20_000
const MAX_BYTES = 8 << 20

/** Consecutive items, so many that their bytes together stay bounded; a larger one goes alone. */
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
 * Rows in groups of about MAX_ROWS, cut between windows only: the statement sorts its own rows by key, which begins
 * with the window, so the groups together lock in key order too.
 */
export function windowGroups(rows: AggregateRows): AggregateRows[] {
  const { windowStart } = rows
  if (windowStart.length <= MAX_ROWS) return [rows]
  const inOrder = windowStart.map((_, i) => i).sort((a, b) => windowStart[a]! - windowStart[b]! || a - b)
  const groups: number[][] = [[]]
  for (const i of inOrder) {
    const group = groups.at(-1)!
    const opensWindow = group.length > 0 && windowStart[i] !== windowStart[group.at(-1)!]
    if (opensWindow && group.length >= MAX_ROWS) groups.push([i])
    else group.push(i)
  }
  return groups.map(group => pick(rows, group))
}

function pick(rows: AggregateRows, chosen: number[]): AggregateRows {
  const of = <T>(values: T[]) => chosen.map(i => values[i]!)
  return {
    aggregation: rows.aggregation,
    windowStart: of(rows.windowStart),
    keys: rows.keys.map(of),
    columns: rows.columns.map(of),
  }
}
