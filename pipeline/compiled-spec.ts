/**
 * The spec resolved for execution: every default applied, every measure turned into the columns that store it.
 * The processor's core, the stores and the sinks all work from this one form.
 */
import { allFields, scaleOf } from './checks.ts'
import { type Expression, parseExpression } from './expression.ts'
import { aggregationIdentity } from './identity.ts'
import { MAX_SCALE } from './limits.ts'
import type { Aggregation, Field, Measure, Spec, Window } from './schema.ts'

/** `line`: the field is in each element of the exploded array, not in the event itself. */
export type CompiledField = {
  name: string
  path: string[]
  type: 'string' | 'number' | 'decimal' | 'boolean'
  /** Decimals of number and decimal fields; 0 for the others. */
  scale: number
  /** Text to use for an absent or null value; undefined if the field has no default. */
  default: string | undefined
  optional: boolean
  line: boolean
  /** An aggregation groups by the field, so its values are interned. Other strings only go to the raw table. */
  isKey: boolean
}

/** Half-open windows [start, start + size), every `slide` ms, shifted by `offset`; null: one window over all time. */
export type CompiledWindow = { size: number; slide: number; offset: number } | null

/** One stored column. `merge`: add is t + delta; min and max are LEAST and GREATEST. Amounts are integers scaled by 10^scale. */
export type CompiledColumn = {
  name: string
  merge: 'add' | 'min' | 'max'
  source: { count: 'lines' | 'events' } | { of: Expression; naturalScale: number }
  scale: number
}

/** A shown column, computed by the database: sum ÷ count, rounded half-even to `scale`. */
export type CompiledAverage = { name: string; sum: string; count: string; scale: number }

export type CompiledAggregation = {
  name: string
  identity: string
  window: CompiledWindow
  /** Milliseconds. */
  allowedLateness: number
  /** Indices into the compiled spec's fields. */
  keys: number[]
  columns: CompiledColumn[]
  averages: CompiledAverage[]
  /** Milliseconds of event time; undefined: kept for ever. */
  retention: number | undefined
}

export type CompiledSpec = { fields: CompiledField[]; aggregations: CompiledAggregation[]; spec: Spec }

/** Compiles a spec that has passed the checks; throws on any other. */
export function compileSpec(spec: Spec): CompiledSpec {
  const keys = new Set(spec.aggregations.flatMap(a => a.groupBy))
  const own = new Set(spec.event.fields)
  const fields = allFields(spec).map(f => compileField(f, keys.has(f.name), !own.has(f)))
  return { fields, aggregations: spec.aggregations.map(a => compileAggregation(spec, a, fields)), spec }
}

function compileField(field: Field, isKey: boolean, line: boolean): CompiledField {
  const { name, type, optional } = field
  const path = (field.path ?? name).split('.')
  return { name, path, type, scale: scaleOf(field), default: field.default, optional, line, isKey }
}

function compileAggregation(spec: Spec, aggregation: Aggregation, fields: CompiledField[]): CompiledAggregation {
  const scales = new Map(fields.map(f => [f.name, f.scale]))
  const measures = aggregation.measures
  return {
    name: aggregation.name,
    identity: aggregationIdentity(spec, aggregation),
    window: compileWindow(aggregation.window ?? spec.window),
    allowedLateness: aggregation.allowedLateness ?? spec.allowedLateness,
    keys: aggregation.groupBy.map(name => fields.findIndex(f => f.name === name)),
    columns: measures.flatMap(m => columnsOf(m, scales)),
    averages: measures.filter(m => m.op === 'average').map(m => averageOf(m, scales)),
    retention: aggregation.retention,
  }
}

function compileWindow(window: Window): CompiledWindow {
  if (window.type === 'none') return null
  return { size: window.size!, slide: window.slide ?? window.size!, offset: window.offset ?? 0 }
}

function columnsOf(measure: Measure, scales: Map<string, number>): CompiledColumn[] {
  const { name, op } = measure
  if (op === 'count')
    return [{ name, merge: 'add', source: { count: measure.of === 'events' ? 'events' : 'lines' }, scale: 0 }]
  const of = parseExpression(measure.of!)
  const naturalScale = scaleOfExpression(of, scales)
  const source = { of, naturalScale }
  const scale = measure.scale ?? Math.min(naturalScale, MAX_SCALE)
  if (op === 'average')
    return [
      { name: `${name}_sum`, merge: 'add', source, scale },
      { name: `${name}_count`, merge: 'add', source: { count: 'lines' }, scale: 0 },
    ]
  return [{ name, merge: op === 'sum' ? 'add' : op, source, scale }]
}

function averageOf(measure: Measure, scales: Map<string, number>): CompiledAverage {
  const [sum, count] = columnsOf(measure, scales)
  return { name: measure.name, sum: sum!.name, count: count!.name, scale: sum!.scale }
}

/** Returns the exact decimals of a result: a product adds its factors' scales, a sum has the greater one. */
function scaleOfExpression(expression: Expression, scales: Map<string, number>): number {
  switch (expression.op) {
    case 'field':
      return scales.get(expression.name)!
    case 'literal':
      return expression.text.split('.')[1]?.length ?? 0
    case 'negate':
      return scaleOfExpression(expression.operand, scales)
    default: {
      const left = scaleOfExpression(expression.left, scales)
      const right = scaleOfExpression(expression.right, scales)
      return expression.op === '*' ? left + right : Math.max(left, right)
    }
  }
}
