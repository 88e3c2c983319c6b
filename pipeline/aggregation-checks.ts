/** Checks of windows, aggregations and measures that span fields. */
import { type Expression, fieldsOf, parseExpression } from './expression.ts'
import { duplicateNames, type Fault } from './faults.ts'
import { allFields, scalesOf } from './fields.ts'
import { UNLIMITED } from './lateness.ts'
import { MAX_WINDOWS_PER_EVENT } from './limits.ts'
import { lineFieldsOf } from './per.ts'
import { decimalsOf, partsOf } from './rounding.ts'
import type { Aggregation, Field, Measure, Spec, Window } from './schema.ts'
import { formatDuration } from './units.ts'

export function windowFaults(window: Window, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const fault = (name: string, message: string) => faults.push({ path: [...at, name], message })
  const { type, size, slide, offset } = window
  if (type === 'none') {
    for (const name of ['size', 'slide', 'offset'] as const) {
      const value = window[name]
      if (value !== undefined) fault(name, `${formatDuration(value)} is not allowed when type is none; remove it`)
    }
    return faults
  }
  if (size === undefined) fault('size', `is required when type is ${type}; set it, for example to 1m`)
  if (type === 'tumbling' && slide !== undefined)
    fault('slide', `${formatDuration(slide)} is not allowed when type is tumbling; remove it or set type to sliding`)
  if (type === 'sliding' && slide === undefined)
    fault('slide', 'is required when type is sliding; set it, for example to 10s')
  if (type === 'sliding' && size !== undefined && slide !== undefined) {
    const [whole, part] = [`size ${formatDuration(size)}`, `slide ${formatDuration(slide)}`]
    if (size % slide !== 0) fault('slide', `${whole} is not a multiple of ${part}; change one of them`)
    else if (size / slide > MAX_WINDOWS_PER_EVENT)
      fault('slide', `${whole} is more than ${MAX_WINDOWS_PER_EVENT} times ${part}; raise slide or lower size`)
  }
  const step = slide ?? size
  if (offset !== undefined && step !== undefined && offset >= step) {
    const bound = `${slide === undefined ? 'size' : 'slide'} ${formatDuration(step)}`
    fault('offset', `must be less than ${bound}; found ${formatDuration(offset)}`)
  }
  return faults
}

export function aggregationFaults(spec: Spec, aggregation: Aggregation, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const fields = new Map(allFields(spec).map(f => [f.name, f]))
  const known = [...fields.keys()].join(', ') || 'none'
  if (aggregation.window) faults.push(...windowFaults(aggregation.window, [...at, 'window']))
  if (spec.raw?.table === aggregation.name)
    faults.push({
      path: [...at, 'name'],
      message: `"${aggregation.name}" is also the name of the raw table (spec.raw.table); rename one of them`,
    })
  aggregation.groupBy.forEach((name, i) => {
    const path = [...at, 'groupBy', i]
    const field = fields.get(name)
    if (!field) faults.push({ path, message: unknownField(name, known) })
    else if (field.optional && field.default === undefined)
      faults.push({ path, message: `"${name}" is optional and has no default; set a default to group by it` })
    if (aggregation.measures.some(m => m.name === name))
      faults.push({ path, message: `"${name}" is also the name of a measure; rename one of them` })
  })
  faults.push(...duplicateNames(aggregation.groupBy, i => [...at, 'groupBy', i]))
  const ofMeasures = aggregation.measures.map((measure, i) =>
    measureFaults(measure, fields, known, [...at, 'measures', i]),
  )
  faults.push(...ofMeasures.flat())
  aggregation.measures.forEach((measure, i) => {
    if (ofMeasures[i]!.length === 0) faults.push(...perFaults(measure, spec, [...at, 'measures', i]))
  })
  if (aggregation.retention !== undefined && (aggregation.allowedLateness ?? spec.allowedLateness) === UNLIMITED) {
    const message = `${formatDuration(aggregation.retention)} is not allowed when allowedLateness is ${UNLIMITED}: no row becomes final, so none would be removed; remove it, or set a duration as allowedLateness`
    faults.push({ path: [...at, 'retention'], message })
  }
  const sound = aggregation.measures.filter((_, i) => ofMeasures[i]!.length === 0)
  faults.push(
    ...duplicateNames(
      [...aggregation.measures.map(m => m.name), ...partColumns(sound, scalesOf(spec))],
      i => [...at, 'measures', Math.min(i, aggregation.measures.length - 1), 'name'],
      'rename a measure; a measure x with op average also creates the columns x_sum and x_count, and a sum x that is rounded when shown creates x_sum (with roundEach: true it does not)',
    ),
  )
  return faults
}

const unknownField = (name: string, known: string) =>
  `"${name}" is not a field of the event; correct the name or add the field. Existing fields: ${known}`

/** Returns the columns that are stored beside those of the measures. `measures`: without faults. */
function partColumns(measures: Measure[], scaleOfField: (name: string) => number): string[] {
  return measures.flatMap(m => partsOf(m, decimalsOf(m, scaleOfField).rounding))
}

function measureFaults(measure: Measure, fields: Map<string, Field>, known: string, at: Fault['path']): Fault[] {
  const path = [...at, 'of']
  if (measure.op === 'count') {
    if (measure.scale !== undefined) {
      const message = `${measure.scale} is not allowed when op is count, which has no decimals; remove it`
      return [{ path: [...at, 'scale'], message }]
    }
    const ok = measure.of === undefined || measure.of === 'lines' || measure.of === 'events'
    return ok ? [] : [{ path, message: `must be "lines" or "events" when op is count; found "${measure.of}"` }]
  }
  if (measure.of === undefined) {
    const remedy = 'set it to a field or an expression such as quantity * price'
    return [{ path, message: `is required when op is ${measure.op}; ${remedy}` }]
  }
  let expression: Expression
  try {
    expression = parseExpression(measure.of)
  } catch (error) {
    return [{ path, message: `${(error as Error).message}; found "${measure.of}"` }]
  }
  return fieldsOf(expression).flatMap(name => {
    const field = fields.get(name)
    if (!field) return [{ path, message: unknownField(name, known) }]
    if (field.type !== 'number' && field.type !== 'decimal')
      return [{ path, message: `"${name}" has type ${field.type}; use a field of type number or decimal` }]
    if (field.optional && field.default === undefined)
      return [{ path, message: `"${name}" is optional and has no default; set a default to measure it` }]
    return []
  })
}

/** `measure`: without other faults. */
function perFaults(measure: Measure, spec: Spec, at: Fault['path']): Fault[] {
  const path = [...at, 'per']
  const { op, of, per } = measure
  if (op === 'count' && of !== undefined && per !== undefined && of !== per)
    return [{ path, message: `${per} contradicts of: ${of}; remove one of them` }]
  const [line] = lineFieldsOf(measure, spec)
  if (per !== 'events' || line === undefined) return []
  return [{ path, message: `must be lines, because "${line}" is a field of a line; found events` }]
}
