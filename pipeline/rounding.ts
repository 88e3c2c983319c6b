/** When a result loses decimals (contract, section 7): once, when it is shown, or with each event that is added. */
import { type Expression, parseExpression } from './expression.ts'
import { MAX_SCALE } from './limits.ts'
import type { Measure, SalesPipeline, Spec } from './schema.ts'

/** `indifferent`: the time does not matter, because no decimal is lost, or because rounding keeps the order (min, max). */
export type Rounding = 'indifferent' | 'once' | 'each'

/** `exact`: decimals of the expression's result. `shown`: decimals that the measure states. */
export type Decimals = { exact: number; shown: number; rounding: Rounding }

/** `scaleOf`: decimals of a field. The measure must have passed the checks. */
export function decimalsOf(measure: Measure, scaleOf: (field: string) => number): Decimals {
  const { op, of, scale } = measure
  if (op === 'count') return { exact: 0, shown: 0, rounding: 'indifferent' }
  const exact = exactDecimals(parseExpression(of!), scaleOf)
  const shown = scale ?? Math.min(exact, MAX_SCALE)
  if (exact <= shown || op === 'min' || op === 'max') return { exact, shown, rounding: 'indifferent' }
  // Documents that releases up to 0.3.0 stored have no roundEach, and these releases rounded each event.
  return { exact, shown, rounding: measure.roundEach === false ? 'once' : 'each' }
}

/** Returns the columns of a measure's parts, which are stored beside the column that shows it. */
export function partsOf({ name, op }: Measure, rounding: Rounding): string[] {
  if (op === 'average') return [`${name}_sum`, `${name}_count`]
  return op === 'sum' && rounding === 'once' ? [`${name}_sum`] : []
}

/** Returns the pipeline with `roundEach` for the aggregations in `roundedEach`, whose tables a release up to 0.3.0 created. */
export function keepRounding(pipeline: SalesPipeline, roundedEach: ReadonlySet<string>): SalesPipeline {
  const aggregations = pipeline.spec.aggregations.map(aggregation =>
    roundedEach.has(aggregation.name)
      ? { ...aggregation, measures: aggregation.measures.map(measure => ({ ...measure, roundEach: true })) }
      : aggregation,
  )
  return { ...pipeline, spec: { ...pipeline.spec, aggregations } }
}

/** A product adds its factors' decimals, a sum has the greater number. */
function exactDecimals(expression: Expression, scaleOf: (field: string) => number): number {
  switch (expression.op) {
    case 'field':
      return scaleOf(expression.name)
    case 'literal':
      return expression.text.split('.')[1]?.length ?? 0
    case 'negate':
      return exactDecimals(expression.operand, scaleOf)
    default: {
      const left = exactDecimals(expression.left, scaleOf)
      const right = exactDecimals(expression.right, scaleOf)
      return expression.op === '*' ? left + right : Math.max(left, right)
    }
  }
}

export type MeasureRounding = { aggregation: string; measure: Measure } & Decimals

/** Returns the measures of a spec for which the time of rounding matters. */
export function roundedMeasures(spec: Spec, scaleOf: (field: string) => number): MeasureRounding[] {
  return spec.aggregations.flatMap(({ name, measures }) =>
    measures
      .map(measure => ({ aggregation: name, measure, ...decimalsOf(measure, scaleOf) }))
      .filter(({ rounding }) => rounding !== 'indifferent'),
  )
}
