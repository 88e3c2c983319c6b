/** Several partitions' shares as one commit: increments of the same row are added up, so that it is written once. */
import type { AggregationPlan, Plan } from '#pipeline/plan.ts'
import type { AggregateRows, Amount, Commit } from '#processor/ports.ts'
import { add } from './exact.ts'
import type { Share } from './pending.ts'

type Merge = 'add' | 'min' | 'max'

/** min and max: the lesser or greater; add: the exact sum. Undefined: the row is new. */
export function mergeAmount(kind: Merge, present: Amount | undefined, value: Amount): Amount {
  if (present === undefined) return value
  if (kind === 'add') return add(present, value)
  if (kind === 'min') return value < present ? value : present
  return value > present ? value : present
}

/** Shares stay as they are: after a failure the commit is built anew from those that are still ours. */
export function mergeShares(plan: Plan, shares: Share[]): Commit {
  return {
    partitions: shares.map(share => share.commit).sort((a, b) => a.partition - b.partition),
    aggregates: plan.aggregations.map((aggregation, i) =>
      mergeRows(
        aggregation,
        shares.map(share => share.aggregates[i]!),
      ),
    ),
    late: shares.flatMap(share => share.late),
    dead: shares.flatMap(share => share.dead),
    raw: shares.flatMap(share => share.raw),
  }
}

/** `parts`: rows of the same aggregation, each key at most once per part. */
function mergeRows(plan: AggregationPlan, parts: AggregateRows[]): AggregateRows {
  const filled = parts.filter(part => part.windowStart.length > 0)
  if (filled.length <= 1) return filled[0] ?? parts[0]!
  const merged: AggregateRows = {
    aggregation: parts[0]!.aggregation,
    windowStart: [],
    keys: plan.keys.map(() => []),
    columns: plan.columns.map(() => []),
  }
  const places = new Map<string, number>()
  for (const part of filled)
    for (let row = 0; row < part.windowStart.length; row++) addRow(plan, merged, places, part, row)
  return merged
}

function addRow(
  plan: AggregationPlan,
  merged: AggregateRows,
  places: Map<string, number>,
  part: AggregateRows,
  row: number,
): void {
  // U+0000 cannot occur in a key (contract, section 3), so it separates without ambiguity.
  let id = String(part.windowStart[row])
  for (const key of part.keys) id += `\0${key[row]}`
  let place = places.get(id)
  if (place === undefined) {
    place = merged.windowStart.push(part.windowStart[row]!) - 1
    places.set(id, place)
    part.keys.forEach((key, k) => {
      merged.keys[k]![place!] = key[row]!
    })
  }
  for (let c = 0; c < plan.columns.length; c++)
    merged.columns[c]![place] = mergeAmount(plan.columns[c]!.merge, merged.columns[c]![place], part.columns[c]![row]!)
}
