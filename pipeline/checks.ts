/** Checks that span fields: names exist and are unique, slides divide windows, types fit. */
import { type Expression, fieldsOf, parseExpression } from './expression.ts'
import { DEFAULT_DECIMAL_SCALE, MAX_INTEGER_DIGITS, MAX_WINDOWS_PER_EVENT } from './limits.ts'
import { lineFieldsOf } from './per.ts'
import { decimalsOf, partsOf } from './rounding.ts'
import type { Aggregation, Field, Measure, Spec, Window } from './schema.ts'
import { formatDuration } from './units.ts'

export type Fault = { path: (string | number)[]; message: string }

/** Returns all faults, each with the path of the field to change. The spec must have passed the schema. */
export function crossFieldFaults(spec: Spec): Fault[] {
  return [
    ...windowFaults(spec.window, ['window']),
    ...eventFaults(spec),
    ...spec.aggregations.flatMap((aggregation, i) => aggregationFaults(spec, aggregation, ['aggregations', i])),
    ...duplicateNames(
      spec.aggregations.map(a => a.name),
      i => ['aggregations', i, 'name'],
    ),
    ...sinkFaults(spec),
    ...workerFaults(spec),
    ...loadFaults(spec),
  ]
}

/** Returns the number of decimals of a field's values. */
export const scaleOf = ({ scale, type }: Field) => scale ?? (type === 'decimal' ? DEFAULT_DECIMAL_SCALE : 0)

/** Returns the fields of the event and, with explode, those of its lines. */
export function allFields(spec: Spec): Field[] {
  return [...spec.event.fields, ...(spec.event.explode?.fields ?? [])]
}

/** Returns the function from a field's name to its decimals. The field must exist. */
export function scalesOf(spec: Spec): (field: string) => number {
  const scales = new Map(allFields(spec).map(field => [field.name, scaleOf(field)]))
  return name => scales.get(name)!
}

function windowFaults(window: Window, at: Fault['path']): Fault[] {
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

function eventFaults(spec: Spec): Fault[] {
  const { event } = spec
  const faults = duplicateNames(
    event.fields.map(f => f.name),
    i => ['event', 'fields', i, 'name'],
  )
  const inherited = new Set(event.fields.map(f => f.name))
  const lines = event.explode?.fields ?? []
  faults.push(
    ...duplicateNames(
      lines.map(f => f.name),
      i => ['event', 'explode', 'fields', i, 'name'],
    ),
  )
  lines.forEach((line, i) => {
    if (inherited.has(line.name))
      faults.push({
        path: ['event', 'explode', 'fields', i, 'name'],
        message: `"${line.name}" is already a field of the event; rename one of them`,
      })
  })
  event.fields.forEach((f, i) => {
    faults.push(...fieldFaults(f, ['event', 'fields', i]))
  })
  lines.forEach((f, i) => {
    faults.push(...fieldFaults(f, ['event', 'explode', 'fields', i]))
  })
  if (spec.deduplication && !event.id)
    faults.push({
      path: ['event', 'id'],
      message: 'is required by deduplication; set it to the path of the field that identifies a sale',
    })
  return faults
}

function fieldFaults(field: Field, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const isNumeric = field.type === 'number' || field.type === 'decimal'
  if (!isNumeric && field.scale !== undefined)
    faults.push({
      path: [...at, 'scale'],
      message: `${field.scale} is not allowed for type ${field.type}; remove it or set type to number or decimal`,
    })
  if (field.default === undefined) return faults
  const scale = scaleOf(field)
  const invalid = (expected: string) =>
    faults.push({ path: [...at, 'default'], message: `must be ${expected}; found ${JSON.stringify(field.default)}` })
  if (
    isNumeric &&
    !new RegExp(`^-?\\d{1,${MAX_INTEGER_DIGITS}}${scale > 0 ? `(\\.\\d{1,${scale}})?` : ''}$`).test(field.default)
  )
    invalid(`a number with at most ${MAX_INTEGER_DIGITS} digits before the decimal point and at most ${scale} after it`)
  if (field.type === 'boolean' && !/^(true|false)$/.test(field.default)) invalid('"true" or "false"')
  if (field.type === 'string' && (field.default.includes('\0') || !field.default.isWellFormed()))
    invalid('valid Unicode without U+0000')
  return faults
}

function aggregationFaults(spec: Spec, aggregation: Aggregation, at: Fault['path']): Fault[] {
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

function sinkFaults(spec: Spec): Fault[] {
  const projections = spec.sinks.elasticsearch?.projections ?? []
  const at = ['sinks', 'elasticsearch', 'projections']
  const names = spec.aggregations.map(a => a.name)
  return [
    ...projections.flatMap((p, i) =>
      names.includes(p.aggregation)
        ? []
        : [
            {
              path: [...at, i, 'aggregation'],
              message: `"${p.aggregation}" is not an aggregation; use one of: ${names.join(', ')}`,
            },
          ],
    ),
    ...duplicateNames(
      projections.map(p => p.index),
      i => [...at, i, 'index'],
    ),
    ...duplicateNames(
      projections.map(p => p.template ?? p.index),
      i => [...at, i, 'template'],
    ),
    ...projections.flatMap((p, i) =>
      duplicateNames(Object.values(p.fields), n => [...at, i, 'fields', Object.keys(p.fields)[n]!]),
    ),
    ...credentialFaults(spec),
    ...duplicateNames(
      projections.map(p => p.aggregation),
      i => [...at, i, 'aggregation'],
    ),
  ]
}

function credentialFaults(spec: Spec): Fault[] {
  const { usernameSecretRef, passwordSecretRef } = spec.sinks.elasticsearch ?? {}
  if (!usernameSecretRef === !passwordSecretRef) return []
  const path = ['sinks', 'elasticsearch', usernameSecretRef ? 'passwordSecretRef' : 'usernameSecretRef']
  return [{ path, message: 'is missing; set both usernameSecretRef and passwordSecretRef, or neither' }]
}

function loadFaults({ load }: Spec): Fault[] {
  const faults: Fault[] = []
  if (load.speed > 1 && load.startAt === undefined)
    faults.push({
      path: ['load', 'startAt'],
      message: `is required when speed is above 1 (found ${load.speed}); set it to a past time. Otherwise event times are in the future and the events become dead letters`,
    })
  if (load.bursts && load.bursts.lasting > load.bursts.every) {
    const { lasting, every } = load.bursts
    const message = `must not be longer than the value of "every" (${formatDuration(every)}); found ${formatDuration(lasting)}`
    faults.push({ path: ['load', 'bursts', 'lasting'], message })
  }
  return faults
}

function workerFaults(spec: Spec): Fault[] {
  const { min, max } = spec.workers.autoscale
  return min > max
    ? [
        {
          path: ['workers', 'autoscale', 'min'],
          message: `must not be greater than the value of "max" (${max}); found ${min}`,
        },
      ]
    : []
}

function duplicateNames(
  names: string[],
  at: (i: number) => Fault['path'],
  remedy = 'remove or rename one of them',
): Fault[] {
  return names.flatMap((name, i) =>
    names.indexOf(name) < i ? [{ path: at(i), message: `"${name}" occurs twice; ${remedy}` }] : [],
  )
}
