/** Measures that add an amount of a whole record once per line, although nothing says that this is meant (contract, section 7). */
import { UNCLEAR_MEASURE, unclearMeasures } from '#pipeline/per.ts'
import type { Spec } from '#pipeline/schema.ts'
import { Fatal } from './errors.ts'
import type { Telemetry } from './ports.ts'

/**
 * Throws Fatal MeasureUnclear for an aggregation that is not stored yet. A stored one was created by a release that had no
 * `per`: it continues, with a condition. `stored`: names of aggregations.
 */
export function reportUnclearMeasures(
  spec: Spec,
  stored: { has(name: string): boolean },
  telemetry: Pick<Telemetry, 'condition'>,
): void {
  const unclear = unclearMeasures(spec)
  const namesOf = (list: typeof unclear) =>
    list.map(({ aggregation, measure }) => `${aggregation}.${measure}`).join(', ')
  const added = unclear.filter(({ aggregation }) => !stored.has(aggregation))
  if (added.length > 0) throw new Fatal('MeasureUnclear', `${namesOf(added)}: ${UNCLEAR_MEASURE}`)
  const message = `${namesOf(unclear)}: adds an amount of the whole record once per line. If this is meant, set per: lines. Otherwise replace the aggregation by one with another name and per: events`
  telemetry.condition('AddedPerLine', unclear.length > 0 ? message : null)
}
