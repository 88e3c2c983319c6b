/** What a measure counts or adds when a record has several lines: each line, or each record once per row (contract, section 7). */
import { fieldsOf, parseExpression } from './expression.ts'
import type { Measure, Spec } from './schema.ts'

/** `of: events` is the older name for `per: events` of a count. */
export function perOf({ op, of, per }: Measure): 'lines' | 'events' {
  return per ?? (op === 'count' && of === 'events' ? 'events' : 'lines')
}

/** Returns the fields of a line that the measure uses. The measure must have passed the checks. */
export function lineFieldsOf({ op, of }: Measure, { event }: Spec): string[] {
  if (op === 'count' || of === undefined) return []
  const lines = new Set(event.explode?.fields.map(({ name }) => name))
  return fieldsOf(parseExpression(of)).filter(name => lines.has(name))
}

/** What to do about a measure of `unclearMeasures`. */
export const UNCLEAR_MEASURE =
  'uses no field of a line, so it must say what it adds when a record has several lines. Set per: events to add each record once (to each row that it belongs to), or per: lines to add it again for each line'

/**
 * Returns the measures that add an amount of the whole record once per line, although nothing says that this is meant:
 * an order of 97.90 with two lines would add 195.80.
 */
export function unclearMeasures(spec: Spec): { aggregation: string; measure: string }[] {
  if (!spec.event.explode) return []
  const isUnclear = (measure: Measure) =>
    measure.op !== 'count' && measure.per === undefined && lineFieldsOf(measure, spec).length === 0
  return spec.aggregations.flatMap(({ name, measures }) =>
    measures.filter(isUnclear).map(measure => ({ aggregation: name, measure: measure.name })),
  )
}
