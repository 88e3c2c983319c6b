/** Decodes a record into a sale with its lines, or finds its first fault and the field at fault. */
import Big from 'big.js'
import { decimals } from './expression.ts'
import { isNumber, type Json, JsonNumber, JsonString, measure, parseJson, textOf } from './json.ts'
import { type Field, fieldNamed, type Rules } from './spec.ts'
import { instant, LATEST, parseEpoch, timeParts } from './time.ts'

export type Value = string | Big | boolean | null
/** The fields of one line, including the fields of its event. */
export type Line = Record<string, Value>

export interface Sale {
  /** Null without deduplication. */
  id: string | null
  /** Event time, in milliseconds since the epoch. */
  time: number
  lines: Line[]
}

const MAX_NESTING = 500
const MAX_VALUES = 500_000
const MAX_INTEGER_DIGITS = 30
const MAX_KEY_BYTES = 1024

/** Why a record is dead. `field` is the field at fault, or null when no single field is. */
export class Fault extends Error {
  readonly reason: string
  readonly field: string | null
  constructor(reason: string, field: string | null = null) {
    super(reason)
    this.reason = reason
    this.field = field
  }
}

/**
 * Returns the sale in a record. Throws the first {@link Fault} in the order of the contract. `timestamp` is the record's
 * timestamp in milliseconds since the epoch.
 */
export function decode(value: Buffer | null, timestamp: number, rules: Rules): Sale {
  const event = readObject(value)
  const id = rules.deduplication ? readId(event, rules.id!, rules.integralIds) : null
  const time = readTime(event, rules, timestamp)
  if (time > timestamp + rules.maxFutureSkew) throw new Fault('future_timestamp', rules.time.path)
  const shared = readFields(event, rules.fields, field => nameOf(field, '', rules))
  const lines = rules.explode ? readLines(event, rules, rules.explode, shared) : [shared]
  for (const [index, line] of lines.entries())
    for (const { groupBy } of rules.aggregations) checkKey(groupBy, line, index, rules)
  return { id, time, lines }
}

function readObject(value: Buffer | null): Map<string, Json> {
  if (value === null) throw new Fault('tombstone')
  if (value.length === 0) throw new Fault('empty_value')
  const { nesting, values } = measure(value)
  if (nesting > MAX_NESTING) throw new Fault('too_deep')
  if (values > MAX_VALUES) throw new Fault('too_many_values')
  const event = parseJson(value)
  if (event === undefined) throw new Fault('not_json')
  if (!(event instanceof Map)) throw new Fault('not_an_object')
  return event
}

/** Returns the value at a path; null when it is absent or null, or when the path leads through a non-object. */
function at(object: Map<string, Json>, path: string[]): Json {
  let value: Json = object
  for (const key of path) value = value instanceof Map ? (value.get(key) ?? null) : null
  return value
}

function readId(event: Map<string, Json>, path: string, integral: boolean): string {
  const id = at(event, path.split('.'))
  if (id === null) throw new Fault('missing_id', path)
  if (id instanceof JsonNumber && /^-?[0-9]+$/.test(id.text)) return id.text
  return (integral && integerText(id)) || readString(id, path)
}

/** Returns the digits of a number without a fraction, such as 5.0; null when the value is none, or has too many. */
function integerText(value: Json): string | null {
  if (!(value instanceof JsonNumber)) return null
  const number = new Big(value.text)
  if (number.e >= MAX_INTEGER_DIGITS || decimals(number) > 0) return null
  return number.eq(0) ? '0' : number.toFixed()
}

function readString(value: Json, field: string): string {
  if (!(value instanceof JsonString)) throw new Fault('wrong_type', field)
  const text = textOf(value)
  if (text === undefined) throw new Fault('bad_string', field)
  return text
}

function readTime(event: Map<string, Json>, { time }: Rules, timestamp: number): number {
  const { path } = time
  if (path === null) {
    if (timestamp < 0 || timestamp > LATEST || isTooEarly(timestamp, time)) throw new Fault('bad_time')
    return timestamp
  }
  const value = at(event, path.split('.'))
  if (value === null) throw new Fault('missing_field', path)
  const read = value instanceof JsonNumber ? readNumber(value, time) : readText(value, time)
  if (read === null) throw new Fault('wrong_type', path)
  if (read === undefined || isTooEarly(read, time)) throw new Fault('bad_time', path)
  return read
}

function isTooEarly(read: number, { notBefore }: Rules['time']): boolean {
  return notBefore !== null && notBefore > read
}

/** Returns ms since the epoch; undefined for a time that does not exist, null if a number is none of the forms. */
function readNumber({ text }: JsonNumber, { formats, unit }: Rules['time']): number | null | undefined {
  return formats.includes('epoch') ? parseEpoch(text, unit) : null
}

/** Returns ms since the epoch; undefined for a text that is no time, null for other values and where only numbers are times. */
function readText(value: Json, { formats, epochAsText, unit, zone }: Rules['time']): number | null | undefined {
  const onlyNumbers = !epochAsText && formats.includes('epoch')
  if (!(value instanceof JsonString) || onlyNumbers) return null
  const text = textOf(value)
  if (text === undefined) return undefined
  for (const format of formats) {
    if (format === 'epoch') {
      if (isNumber(text)) return parseEpoch(text, unit)
      continue
    }
    const parts = timeParts(format, text)
    if (parts) return instant(parts, zone)
  }
  return undefined
}

/** Returns the text of a decimal; '' for a string that is not valid, which then is no number. */
function readPlainText(value: Json, field: string): string {
  if (!(value instanceof JsonString)) throw new Fault('wrong_type', field)
  return textOf(value) ?? ''
}

function readLines(
  event: Map<string, Json>,
  rules: Rules,
  explode: NonNullable<Rules['explode']>,
  shared: Line,
): Line[] {
  const array = at(event, explode.path.split('.'))
  if (array === null) throw new Fault('missing_field', explode.path)
  if (!Array.isArray(array)) throw new Fault('wrong_type', explode.path)
  if (array.length === 0) throw new Fault('empty_lines', explode.path)
  if (array.length > explode.maxLines) throw new Fault('too_many_lines', explode.path)
  return array.map((line, index) => {
    const where = `${explode.path}[${index}]`
    if (!(line instanceof Map)) throw new Fault('wrong_type', rules.namesPaths ? where : explode.path)
    const own = readFields(line, explode.fields, field => nameOf(field, `${where}.`, rules))
    return Object.assign(emptyLine(), shared, own)
  })
}

/** Without a prototype: a field may have the name of a method, such as constructor. */
const emptyLine = (): Line => Object.create(null)

/** Returns what a dead letter names a field. `where`: what leads to the object that has it. */
function nameOf({ name, path }: Field, where: string, { namesPaths }: Rules): string {
  return namesPaths ? where + path.join('.') : name
}

function readFields(object: Map<string, Json>, fields: Field[], named: (field: Field) => string): Line {
  const line = emptyLine()
  for (const field of fields) line[field.name] = readField(at(object, field.path), field, named(field))
  return line
}

/** `where`: what a dead letter names the field. */
function readField(value: Json, field: Field, where: string): Value {
  if (value === null || (field.blankAsNull && isBlank(value))) return readDefault(field, where)
  if (field.type === 'string') return readString(value, where)
  if (field.type === 'boolean') {
    if (typeof value !== 'boolean') throw new Fault('wrong_type', where)
    return value
  }
  if (value instanceof JsonNumber) return readAmount(value.text, field, where)
  if (field.type === 'number') throw new Fault('wrong_type', where)
  return readAmount(readPlainText(value, where), field, where)
}

function isBlank(value: Json): boolean {
  return value instanceof JsonString && textOf(value)?.replace(/[ \t\n\r]/g, '') === ''
}

function readDefault(field: Field, where: string): Value {
  if (field.default === null) {
    if (field.optional) return null
    throw new Fault('missing_field', where)
  }
  if (field.type === 'string') return field.default
  // A default may have leading zeros, which a JSON number may not.
  return field.type === 'boolean' ? field.default === 'true' : new Big(field.default)
}

function readAmount(text: string, { scale, rounds }: Field, where: string): Big {
  if (!isNumber(text)) throw new Fault('bad_number', where)
  const exact = new Big(text)
  if (exact.e >= MAX_INTEGER_DIGITS) throw new Fault('overflow', where)
  const amount = rounds ? exact.round(scale, Big.roundHalfEven) : exact
  if (amount.e >= MAX_INTEGER_DIGITS) throw new Fault('overflow', where)
  if (decimals(amount) > scale) throw new Fault('too_many_decimals', where)
  return amount
}

/** `index`: of the line. */
function checkKey(groupBy: string[], line: Line, index: number, rules: Rules): void {
  const sizes = groupBy.map(field => Buffer.byteLength(canonical(line[field]!)!))
  if (sizes.reduce((sum, size) => sum + size, 0) <= MAX_KEY_BYTES) return
  const longest = groupBy[sizes.indexOf(Math.max(...sizes))]!
  const ofEvent = rules.fields.find(({ name }) => name === longest)
  if (ofEvent) throw new Fault('key_too_long', nameOf(ofEvent, '', rules))
  throw new Fault('key_too_long', nameOf(fieldNamed(rules, longest), `${rules.explode!.path}[${index}].`, rules))
}

/** Returns the canonical text of a value: numbers have no exponent and no trailing zeros. */
export function canonical(value: Value): string | null {
  if (value === null || typeof value === 'string') return value
  return typeof value === 'boolean' ? String(value) : value.toFixed()
}
