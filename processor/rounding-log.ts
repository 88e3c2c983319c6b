/** Logs at the start which results lose decimals, and when (contract, section 7). */
import { scalesOf } from '#pipeline/fields.ts'
import { roundedMeasures } from '#pipeline/rounding.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Telemetry } from './ports.ts'

/** `roundedEach`: aggregations that a release up to 0.3.0 created. */
export function logRounding(spec: Spec, roundedEach: ReadonlySet<string>, log: Telemetry['log']): void {
  for (const { aggregation, measure, exact, shown, rounding } of roundedMeasures(spec, scalesOf(spec))) {
    const details = { aggregation, measure: measure.name, exactDecimals: exact, scale: shown }
    if (rounding === 'each' && roundedEach.has(aggregation))
      log(
        'warn',
        'measure rounds each event, as in release 0.3.0; to round once, give the aggregation a new name',
        details,
      )
    if (rounding === 'once' && measure.op === 'sum')
      log('warn', 'sum is rounded when shown', { ...details, exactColumn: `${measure.name}_sum` })
  }
}
