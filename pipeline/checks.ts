/** Faults that span fields: names that must exist or be unique, windows that must divide, types that must fit. */
import { type Expression, fieldsOf, parseExpression } from './expression.ts'
import { DEFAULT_DECIMAL_SCALE, MAX_INTEGER_DIGITS, MAX_WINDOWS_PER_EVENT } from './limits.ts'
import type { Aggregation, Field, Spec, Window } from './schema.ts'

export type Fault = { path: (string | number)[]; message: string }

/** All faults at once, each with the path of the field to change. The spec has already passed the schema. */
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

/** Decimals of a field, in all that is computed from it. */
export const scaleOf = ({ scale, type }: Field) => scale ?? (type === 'decimal' ? DEFAULT_DECIMAL_SCALE : 0)

/** The event's own fields and, with explode, its lines' fields. */
export function allFields(spec: Spec): Field[] {
  return [...spec.event.fields, ...(spec.event.explode?.fields ?? [])]
}

function windowFaults(window: Window, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const fault = (name: string, message: string) => faults.push({ path: [...at, name], message })
  const { type, size, slide, offset } = window
  if (type === 'none') {
    for (const name of ['size', 'slide', 'offset'] as const)
      if (window[name] !== undefined) fault(name, 'must be left out when type is none')
    return faults
  }
  if (size === undefined) fault('size', `is needed by a ${type} window, such as 1m`)
  if (type === 'tumbling' && slide !== undefined)
    fault('slide', 'belongs to type sliding; remove it or change the type')
  if (type === 'sliding' && slide === undefined) fault('slide', 'is needed by a sliding window, such as 10s')
  if (type === 'sliding' && size !== undefined && slide !== undefined) {
    if (size % slide !== 0) fault('slide', 'must divide size')
    else if (size / slide > MAX_WINDOWS_PER_EVENT)
      fault('slide', `may go into size at most ${MAX_WINDOWS_PER_EVENT} times`)
  }
  const step = slide ?? size
  if (offset !== undefined && step !== undefined && offset >= step)
    fault('offset', 'must be less than slide, or size where there is no slide')
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
        message: `"${line.name}" is already a field of the event`,
      })
  })
  event.fields.forEach((f, i) => {
    faults.push(...fieldFaults(f, ['event', 'fields', i]))
  })
  lines.forEach((f, i) => {
    faults.push(...fieldFaults(f, ['event', 'explode', 'fields', i]))
  })
  if (spec.deduplication && !event.id)
    faults.push({ path: ['event', 'id'], message: 'is needed by deduplication: name the field that identifies a sale' })
  return faults
}

function fieldFaults(field: Field, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const numeric = field.type === 'number' || field.type === 'decimal'
  if (!numeric && field.scale !== undefined)
    faults.push({ path: [...at, 'scale'], message: `belongs to type number or decimal, not ${field.type}` })
  if (field.default === undefined) return faults
  const scale = scaleOf(field)
  if (
    numeric &&
    !new RegExp(`^-?\\d{1,${MAX_INTEGER_DIGITS}}${scale > 0 ? `(\\.\\d{1,${scale}})?` : ''}$`).test(field.default)
  )
    faults.push({ path: [...at, 'default'], message: `must be a number with at most ${scale} decimals` })
  if (field.type === 'boolean' && !/^(true|false)$/.test(field.default))
    faults.push({ path: [...at, 'default'], message: 'must be "true" or "false"' })
  if (field.type === 'string' && (field.default.includes('\0') || !field.default.isWellFormed()))
    faults.push({ path: [...at, 'default'], message: 'must be valid Unicode without U+0000' })
  return faults
}

function aggregationFaults(spec: Spec, aggregation: Aggregation, at: Fault['path']): Fault[] {
  const faults: Fault[] = []
  const fields = new Map(allFields(spec).map(f => [f.name, f]))
  const known = [...fields.keys()].join(', ') || 'none'
  if (aggregation.window) faults.push(...windowFaults(aggregation.window, [...at, 'window']))
  if (spec.raw?.table === aggregation.name)
    faults.push({ path: [...at, 'name'], message: 'is also the raw table; choose another' })
  aggregation.groupBy.forEach((name, i) => {
    const path = [...at, 'groupBy', i]
    const field = fields.get(name)
    if (!field) faults.push({ path, message: `"${name}" is not a field of the event; there are: ${known}` })
    else if (field.optional && field.default === undefined)
      faults.push({ path, message: `"${name}" is optional; give it a default to group by it` })
    if (aggregation.measures.some(m => m.name === name))
      faults.push({ path, message: `"${name}" is also a measure; rename one` })
  })
  faults.push(...duplicateNames(aggregation.groupBy, i => [...at, 'groupBy', i]))
  aggregation.measures.forEach((measure, i) => {
    faults.push(...measureFaults(measure, fields, known, [...at, 'measures', i]))
  })
  faults.push(
    ...duplicateNames(columnsOf(aggregation), i => [
      ...at,
      'measures',
      Math.min(i, aggregation.measures.length - 1),
      'name',
    ]),
  )
  return faults
}

/** Every measure's columns: an average x is stored as x_sum and x_count and shown as x. */
function columnsOf(aggregation: Aggregation): string[] {
  const names = aggregation.measures.map(m => m.name)
  return [
    ...names,
    ...aggregation.measures.filter(m => m.op === 'average').flatMap(m => [`${m.name}_sum`, `${m.name}_count`]),
  ]
}

function measureFaults(
  measure: Aggregation['measures'][number],
  fields: Map<string, Field>,
  known: string,
  at: Fault['path'],
): Fault[] {
  const path = [...at, 'of']
  if (measure.op === 'count') {
    if (measure.scale !== undefined) return [{ path: [...at, 'scale'], message: 'a count has no decimals; remove it' }]
    const ok = measure.of === undefined || measure.of === 'lines' || measure.of === 'events'
    return ok ? [] : [{ path, message: 'must be lines or events' }]
  }
  if (measure.of === undefined)
    return [{ path, message: `is needed by ${measure.op}: a field or an expression such as quantity * price` }]
  let expression: Expression
  try {
    expression = parseExpression(measure.of)
  } catch (error) {
    return [{ path, message: `${(error as Error).message}` }]
  }
  return fieldsOf(expression).flatMap(name => {
    const field = fields.get(name)
    if (!field) return [{ path, message: `"${name}" is not a field of the event; there are: ${known}` }]
    if (field.type !== 'number' && field.type !== 'decimal')
      return [{ path, message: `"${name}" is a ${field.type}; only number and decimal can be measured` }]
    if (field.optional && field.default === undefined)
      return [{ path, message: `"${name}" is optional; give it a default to measure it` }]
    return []
  })
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
              message: `"${p.aggregation}" is not an aggregation; there are: ${names.join(', ')}`,
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
  return [{ path, message: 'is needed: name both user and password, or neither' }]
}

function loadFaults({ load }: Spec): Fault[] {
  const faults: Fault[] = []
  if (load.speed > 1 && load.startAt === undefined)
    faults.push({
      path: ['load', 'startAt'],
      message: 'is needed with speed above 1: otherwise events lie in the future, where they are dead',
    })
  if (load.bursts && load.bursts.lasting > load.bursts.every)
    faults.push({ path: ['load', 'bursts', 'lasting'], message: 'must not exceed every' })
  return faults
}

function workerFaults(spec: Spec): Fault[] {
  const { min, max } = spec.workers.autoscale
  return min > max ? [{ path: ['workers', 'autoscale', 'min'], message: 'must not exceed max' }] : []
}

function duplicateNames(names: string[], at: (i: number) => Fault['path']): Fault[] {
  return names.flatMap((name, i) =>
    names.indexOf(name) < i ? [{ path: at(i), message: `"${name}" is there twice` }] : [],
  )
}
