/** Aggregations with a measure or group-by field that has the name of the column for partial windows (contract, section 5). */
import { PARTIAL } from './names.ts'
import type { Spec } from './schema.ts'

/** What to do about an aggregation of `usingPartial`. */
export const RENAME_PARTIAL = `${PARTIAL} is the name of the column that marks partial windows. Give the measure or field another name; a field keeps its data with path: ${PARTIAL}`

/** Returns the names of the aggregations. Releases up to 0.3.0 accepted them. */
export function usingPartial({ aggregations }: Spec): string[] {
  return aggregations
    .filter(({ groupBy, measures }) => [...groupBy, ...measures.map(({ name }) => name)].includes(PARTIAL))
    .map(({ name }) => name)
}
