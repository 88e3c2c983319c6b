/**
 * Describes for people what is wrong with a record, and what to do. No verdict depends on it. Values may be secret: text and
 * numbers are shown as their form only, cut.
 */
import type { CompiledField } from '#pipeline/compiled-spec.ts'
import {
  MAX_INTEGER_DIGITS,
  MAX_JSON_DEPTH,
  MAX_JSON_VALUES,
  MAX_KEY_BYTES,
  MAX_RECORD_BYTES,
} from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { DeadReason } from '../../dead-reasons.ts'
import { isObject, type Json, NumberText } from './json.ts'

/** What a fault was found in. */
export type Culprit = {
  value?: Json
  /** The field whose value it is. Without it, the value is the id, the time or the array of lines, as `part` says. */
  field?: CompiledField
  part?: 'id' | 'time' | 'lines' | 'line'
  /** Of an absent value: where it was looked for. */
  holder?: Json
  path?: string[]
  /** Event time, if it could be read. */
  time?: number
  recordTimestamp?: number
  /** Bytes of the values that a row groups by. */
  bytes?: number
}

/** Characters of a value whose form is shown. */
const MAX_SHOWN = 40
const ONE_OBJECT = 'send one JSON object per record'
const CORRECT = 'correct the producer'
const FORMS = 'set spec.event.time.format or formats to the forms that the events have, and zone if they have none'

const DETAILS: Partial<Record<DeadReason, (culprit: Culprit, spec: Spec) => string>> = {
  empty_value: () => `a value of 0 bytes; ${ONE_OBJECT}`,
  not_an_object: ({ value }) => `${kindOf(value!)}; ${ONE_OBJECT}`,
  too_deep: () => `arrays and objects are nested more than ${MAX_JSON_DEPTH} deep; send flatter JSON`,
  too_many_values: () => `more than ${MAX_JSON_VALUES} values; divide the record`,
  missing_field: culprit => `${absence(culprit)}; ${missingRemedy(culprit)}`,
  missing_id: culprit => `${absence(culprit)}; correct spec.event.id, or the producer`,
  wrong_type: wrongType,
  bad_string: () => `text that is not valid UTF-8, or has U+0000 or a lone surrogate; ${CORRECT}`,
  bad_number: ({ value }) =>
    `${kindOf(value!)}, which is no number; ${CORRECT}, or set blankAsNull if the text is blank`,
  too_many_decimals: ({ value, field }) =>
    `${kindOf(value!)}, but scale is ${field!.scale}; set rounding or scale of the field`,
  overflow: ({ value }) =>
    `${kindOf(value!)}; a number has at most ${MAX_INTEGER_DIGITS} digits before the decimal point. Correct the producer`,
  bad_time: badTime,
  empty_lines: () => `an array without elements; ${CORRECT}`,
  too_many_lines: ({ value }, { event }) =>
    `${kindOf(value!)}, but maxLines is ${event.explode!.maxLines}; divide the record, or raise spec.event.explode.maxLines`,
  key_too_long: ({ bytes }) =>
    `${bytes} bytes in the groupBy fields of an aggregation; at most ${MAX_KEY_BYTES}. Correct the path of the field`,
  future_timestamp: ({ time, recordTimestamp }) =>
    `${isoTime(time!)}, but the record's timestamp is ${isoTime(recordTimestamp!)}; correct the clock of the producer, or spec.event.time.unit`,
}

const UNREAD: Partial<Record<DeadReason, (bytes: number) => string>> = {
  too_large: bytes => `a value of ${bytes} bytes; a record has at most ${MAX_RECORD_BYTES}. Divide it`,
  tombstone: () => `no value; ${ONE_OBJECT}`,
  store_rejected: () => "PostgreSQL refuses this record's data; look at the payload and at PostgreSQL's log",
}

/** Describes a record that was not decoded. */
export function describeUnread(reason: DeadReason, valueBytes = 0): string | null {
  return UNREAD[reason]?.(valueBytes) ?? null
}

/** Returns null for `not_json`, which only the bytes explain. */
export function describeFault(reason: DeadReason, culprit: Culprit, spec: Spec): string | null {
  return DETAILS[reason]?.(culprit, spec) ?? null
}

function wrongType({ value, field, part }: Culprit, { event }: Spec): string {
  const found = kindOf(value!)
  if (field) {
    const remedy = value === '' ? 'set blankAsNull' : 'set the type that the events have'
    return `${found}, but the field has type ${field.type}; ${remedy}, or ${CORRECT}`
  }
  if (part === 'id') {
    const remedy =
      value instanceof NumberText && !event.integralIds ? '. Set spec.event.integralIds for ids such as 5.0' : ''
    return `${found}; an id is text or a whole number${remedy}`
  }
  if (part === 'time') return `${found}; ${FORMS}`
  return part === 'lines'
    ? `${found}, but spec.event.explode.path must lead to an array; correct the path`
    : `${found}, but each line must be an object; ${CORRECT}`
}

function badTime({ value, time }: Culprit, { event }: Spec): string {
  const { notBefore } = event.time
  if (value === undefined && time === undefined)
    return "the record has no timestamp; set spec.event.time.path, or the producer's timestamps"
  if (time !== undefined && notBefore !== undefined && time < Date.parse(notBefore))
    return `${isoTime(time)} is before spec.event.time.notBefore, ${notBefore}; ${CORRECT}, or set notBefore`
  return `${kindOf(value!)}, which is no time that is allowed; ${FORMS}`
}

/** Returns which part of the path is absent, or in which value the path cannot continue. */
function absence({ holder, path }: Culprit): string {
  let value = holder!
  for (const [i, key] of path!.entries()) {
    const walked = path!.slice(0, i).join('.')
    if (!isObject(value)) return `${walked} is ${kindOf(value)}, in which there is no ${key}`
    if (!Object.hasOwn(value, key)) return walked === '' ? `no ${key}` : `no ${key} in ${walked}`
    value = value[key]!
  }
  return kindOf(value)
}

function missingRemedy({ field, part }: Culprit): string {
  if (field) return 'correct the path of the field, or set a default'
  return part === 'time'
    ? 'correct spec.event.time.path, or the producer'
    : 'correct spec.event.explode.path, or the producer'
}

function kindOf(value: Json): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return 'a boolean'
  if (value instanceof NumberText) return `a number of the form ${formOf(value.text)}`
  if (Array.isArray(value)) return `an array of ${value.length} elements`
  if (typeof value === 'object') return 'an object'
  return value.trim() === '' ? 'blank text' : `text of the form ${formOf(value)} (9: a digit, a: a letter)`
}

/** "29/11/2026 ü" → "99/99/9999 a". Other characters than letters, digits and printable ASCII are escaped. */
function formOf(text: string): string {
  const shown = [...text.slice(0, MAX_SHOWN)].map(formOfCharacter).join('')
  return text.length > MAX_SHOWN ? `${shown}…` : shown
}

function formOfCharacter(character: string): string {
  if (/\p{N}/u.test(character)) return '9'
  if (/\p{L}/u.test(character)) return 'a'
  return /^[ -~]$/.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`
}

/** Record timestamps may be beyond what Date can show. */
function isoTime(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}
