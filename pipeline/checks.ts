/** Checks that span fields: names exist and are unique, slides divide windows, types fit. */
import { aggregationFaults, windowFaults } from './aggregation-checks.ts'
import { authenticationFaults } from './authentication-checks.ts'
import { duplicateNames, type Fault } from './faults.ts'
import { scaleOf } from './fields.ts'
import { MAX_INTEGER_DIGITS } from './limits.ts'
import { podFaults } from './pod-checks.ts'
import type { Field, Spec } from './schema.ts'
import { FORMS, isCompletePattern, RECORD_TIMESTAMP } from './time-forms.ts'
import { formatDuration } from './units.ts'

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
    ...sourceFaults(spec),
    ...sinkFaults(spec),
    ...duplicateNames(spec.sinks.postgres.readers, i => ['sinks', 'postgres', 'readers', i], 'remove one of them'),
    ...workerFaults(spec),
    ...loadFaults(spec),
    ...authenticationFaults(spec),
    ...podFaults(spec),
  ]
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
  faults.push(...timeFaults(event.time))
  if (spec.deduplication && !event.id)
    faults.push({
      path: ['event', 'id'],
      message: 'is required by deduplication; set it to the path of the field that identifies a sale',
    })
  return faults
}

function timeFaults({ path, format, formats = [], zone }: Spec['event']['time']): Fault[] {
  const at = ['event', 'time']
  const faults: Fault[] = []
  const needsPath = format !== RECORD_TIMESTAMP
  if (needsPath && path === undefined)
    faults.push({ path: [...at, 'path'], message: 'is required unless format is record-timestamp; set it' })
  if (!needsPath && path !== undefined)
    faults.push({ path: [...at, 'path'], message: `${path} is not allowed when format is record-timestamp; remove it` })
  if (format !== undefined && formats.length > 0)
    faults.push({
      path: [...at, 'formats'],
      message: 'is not allowed beside format; move its value into formats, or remove one',
    })
  formats.forEach((text, i) => {
    if (text in FORMS) return
    const at = ['event', 'time', 'formats', i]
    if (zone === undefined && !text.includes('XXX'))
      faults.push({ path: at, message: `"${text}" has no XXX, so times have no zone; set zone` })
    if (isCompletePattern(text)) return
    const message = `must have yyyy, MM and dd once each, and HH, mm, ss, S and XXX at most once; found "${text}"`
    faults.push({ path: at, message })
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
  if (!isNumeric && field.rounding !== undefined)
    faults.push({
      path: [...at, 'rounding'],
      message: `${field.rounding} is not allowed for type ${field.type}; remove it or set type to number or decimal`,
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

function sourceFaults({ event, watermark: { sources } }: Spec): Fault[] {
  const names = event.fields.map(f => f.name)
  if (!sources || names.includes(sources.field)) return []
  const known = names.length > 0 ? `; use one of: ${names.join(', ')}` : '; add it'
  return [{ path: ['watermark', 'sources', 'field'], message: `"${sources.field}" is not in event.fields${known}` }]
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
