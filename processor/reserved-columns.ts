/** Refuses a measure or group-by field that has the name of the column that marks partial windows (contract, section 5). */
import { PARTIAL } from '#pipeline/names.ts'
import type { Spec } from '#pipeline/schema.ts'
import { Fatal } from './errors.ts'

/**
 * Throws Fatal ColumnReserved for an aggregation that is not stored yet. A stored one keeps the name, because releases up
 * to 0.3.0 accepted it. `stored`: names of aggregations.
 */
export function refuseReservedColumns({ aggregations }: Spec, stored: { has(name: string): boolean }): void {
  const using = aggregations.find(
    ({ name, groupBy, measures }) =>
      !stored.has(name) && [...groupBy, ...measures.map(measure => measure.name)].includes(PARTIAL),
  )
  if (using)
    throw new Fatal(
      'ColumnReserved',
      `aggregation ${using.name}: ${PARTIAL} is the name of the column that marks partial windows. Give the measure or field another name; a field keeps its data with path: ${PARTIAL}`,
    )
}
