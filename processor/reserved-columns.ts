/** Refuses a measure or group-by field that has the name of the column that marks partial windows (contract, section 5). */
import { RENAME_PARTIAL, usingPartial } from '#pipeline/partial-names.ts'
import type { Spec } from '#pipeline/schema.ts'
import { Fatal } from './errors.ts'

/**
 * Throws Fatal ColumnReserved for an aggregation that is not stored yet. A stored one keeps the name, because releases up
 * to 0.3.0 accepted it. `stored`: names of aggregations.
 */
export function refuseReservedColumns(spec: Spec, stored: { has(name: string): boolean }): void {
  const using = usingPartial(spec).find(name => !stored.has(name))
  if (using !== undefined) throw new Fatal('ColumnReserved', `aggregation ${using}: ${RENAME_PARTIAL}`)
}
