/** Merges the shares of several partitions into one commit: increments of a row are combined, so it is written once. */
import type { CompiledAggregation, CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { AggregateRows, Commit } from './commit.ts'
import type { Amount } from './exact.ts'
import { add } from './exact.ts'
import type { Share } from './pending.ts'

/** OpenTelemetry's default limit of links per span. */
const MAX_TRACES = 128

type Merge = 'add' | 'min' | 'max'

/** Returns the lesser (min), the greater (max) or the exact sum (add). `present` is undefined for a new row. */
export function mergeAmount(kind: Merge, present: Amount | undefined, value: Amount): Amount {
  if (present === undefined) return value
  if (kind === 'add') return add(present, value)
  if (kind === 'min') return value < present ? value : present
  return value > present ? value : present
}

/** Does not change the shares: after a failure the commit is built again, from the partitions that are still owned. */
export function mergeShares(compiled: CompiledSpec, shares: Share[]): Commit {
  return {
    partitions: shares.map(share => share.commit).sort((a, b) => a.partition - b.partition),
    aggregates: compiled.aggregations.map((aggregation, i) =>
      mergeRows(
        aggregation,
        shares.map(share => share.aggregates[i]!),
      ),
    ),
    late: shares.flatMap(share => share.late),
    dead: shares.flatMap(share => share.dead),
    raw: shares.flatMap(share => share.raw),
    traces: shares.flatMap(share => share.traces).slice(-MAX_TRACES),
  }
}

/** `index`: that of the aggregation. */
export function noRows({ keys, columns }: CompiledAggregation, index: number): AggregateRows {
  return { aggregation: index, windowStart: [], keys: keys.map(() => []), columns: columns.map(() => []) }
}

/** `parts`: rows of the same aggregation, each key at most once per part. */
function mergeRows(aggregation: CompiledAggregation, parts: AggregateRows[]): AggregateRows {
  const filled = parts.filter(part => part.windowStart.length > 0)
  if (filled.length <= 1) return filled[0] ?? parts[0]!
  const merged = noRows(aggregation, parts[0]!.aggregation)
  const places = new Map<number, Map<string, number>>()
  for (const part of filled) {
    for (let row = 0; row < part.windowStart.length; row++) {
      const place = placeOf(merged, places, part, row)
      for (let c = 0; c < aggregation.columns.length; c++) {
        const column = merged.columns[c]!
        column[place] = mergeAmount(aggregation.columns[c]!.merge, column[place], part.columns[c]![row]!)
      }
    }
  }
  return merged
}

/** Returns the row's index among the merged rows; adds the row if it is new. */
function placeOf(
  merged: AggregateRows,
  places: Map<number, Map<string, number>>,
  part: AggregateRows,
  row: number,
): number {
  const start = part.windowStart[row]!
  let window = places.get(start)
  if (!window) places.set(start, (window = new Map()))
  let key = part.keys.length > 0 ? part.keys[0]![row]! : ''
  // U+0000 cannot occur in a key (contract, section 3), so it separates without ambiguity.
  for (let k = 1; k < part.keys.length; k++) key += `\0${part.keys[k]![row]}`
  const known = window.get(key)
  if (known !== undefined) return known
  const place = merged.windowStart.push(start) - 1
  window.set(key, place)
  for (let k = 0; k < part.keys.length; k++) merged.keys[k]![place] = part.keys[k]![row]!
  return place
}
