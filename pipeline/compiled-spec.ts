/**
 * The spec resolved for execution: every default applied, every measure turned into the columns that store it.
 * The processor's core, the stores and the sinks all work from this one form.
 */

import { type Expression, parseExpression } from './expression.ts'
import { allFields, scaleOf, scalesOf } from './fields.ts'
import { aggregationIdentity } from './identity.ts'
import { latenessOf } from './lateness.ts'
import { freeName, PARTIAL } from './names.ts'
import { perOf } from './per.ts'
import { decimalsOf, partsOf } from './rounding.ts'
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
  /** More decimals than `scale` are rounded half-even; otherwise they make a record dead. */
  rounds: boolean
  /** Text that is empty or has only white space counts as null. */
  blankAsNull: boolean
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
  source: 'count' | { of: Expression }
  /** events: a record changes a row once, however many lines it has. */
  per: 'lines' | 'events'
  scale: number
}

/** A shown column, computed by the database: sum ÷ count (null: 1), rounded half-even to `scale`. */
export type ShownColumn = { name: string; sum: string; count: string | null; scale: number }

export type CompiledAggregation = {
  name: string
  identity: string
  window: CompiledWindow
  /** Milliseconds; Infinity: no window is ever closed. */
  allowedLateness: number
  /** Indices into the compiled spec's fields. */
  keys: number[]
  columns: CompiledColumn[]
  shown: ShownColumn[]
  /** Name of the column that marks rows of partial windows. */
  mark: string
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
  const { name, type, optional, rounding, blankAsNull = false } = field
  const path = (field.path ?? name).split('.')
  const scale = scaleOf(field)
  const rounds = rounding === 'half-even'
  return { name, path, type, scale, default: field.default, optional, rounds, blankAsNull, line, isKey }
}

function compileAggregation(spec: Spec, aggregation: Aggregation, fields: CompiledField[]): CompiledAggregation {
  const scaleOfField = scalesOf(spec)
  const compiled = aggregation.measures.map(measure => compileMeasure(measure, scaleOfField))
  const columns = compiled.flatMap(({ columns }) => columns)
  const shown = compiled.flatMap(({ shown }) => shown)
  return {
    name: aggregation.name,
    identity: aggregationIdentity(spec, aggregation),
    window: compileWindow(aggregation.window ?? spec.window),
    allowedLateness: latenessOf(aggregation.allowedLateness ?? spec.allowedLateness),
    keys: aggregation.groupBy.map(name => fields.findIndex(f => f.name === name)),
    columns,
    shown,
    mark: freeName(PARTIAL, [...aggregation.groupBy, ...[...columns, ...shown].map(({ name }) => name)]),
    retention: aggregation.retention,
  }
}

function compileWindow(window: Window): CompiledWindow {
  if (window.type === 'none') return null
  return { size: window.size!, slide: window.slide ?? window.size!, offset: window.offset ?? 0 }
}

/** A stored sum that is rounded once keeps all decimals; the database rounds the column that shows it. */
function compileMeasure(
  measure: Measure,
  scaleOfField: (name: string) => number,
): { columns: CompiledColumn[]; shown: ShownColumn[] } {
  const { name, op } = measure
  const per = perOf(measure)
  if (op === 'count') return { columns: [countColumn(name, per)], shown: [] }
  const { exact, shown, rounding } = decimalsOf(measure, scaleOfField)
  const [sum, count = null] = partsOf(measure, rounding)
  const amount: CompiledColumn = {
    name: sum ?? name,
    merge: op === 'min' || op === 'max' ? op : 'add',
    source: { of: parseExpression(measure.of!) },
    per,
    scale: rounding === 'once' ? exact : shown,
  }
  return {
    columns: count === null ? [amount] : [amount, countColumn(count, per)],
    shown: sum === undefined ? [] : [{ name, sum, count, scale: shown }],
  }
}

const countColumn = (name: string, per: CompiledColumn['per']): CompiledColumn => ({
  name,
  merge: 'add',
  source: 'count',
  per,
  scale: 0,
})
