/** Checks that a JSON schema cannot express: original digits, existing dates, strings that can be stored. Pure. */

import type { CompiledField, CompiledSpec } from '#pipeline/compiled-spec.ts'
import { FIRST_EVENT_TIME, LAST_EVENT_TIME, MAX_INTEGER_DIGITS, MAX_KEY_BYTES } from '#pipeline/limits.ts'
import { type TimeText, timeTextReader } from '#pipeline/time-forms.ts'

export type Fault = { field: string; message: string }

/** Parsed JSON whose numbers are replaced by their original text. */
export type Exact = null | boolean | string | NumberText | Exact[] | { [name: string]: Exact }

export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const INTEGER = /^-?\d+$/
/** Date.parse also accepts 24:00, and leaves offsets unchecked. */
const CLOCK = /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?$/
const MS_PER_UNIT = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 }

/** Throws SyntaxError. It is recursive, so check the nesting depth first. */
export function parseExact(text: string): Exact {
  // The source text of a primitive value is newer than TypeScript's declaration of JSON.parse.
  const reviver = (_name: string, value: unknown, context?: { source: string }) =>
    typeof value === 'number' ? new NumberText(context!.source) : value
  return JSON.parse(text, reviver) as Exact
}

type ReadTime = ReturnType<typeof timeTextReader>

/** Returns a function that yields the faults of an event that has passed its schema. `now`: the record's timestamp, ms. */
export function exactFaultFinder(compiled: CompiledSpec): (event: Exact, now: number) => Generator<Fault> {
  const readTime = timeTextReader(compiled.spec.event.time)
  return (event, now) => exactFaults(compiled, readTime, event, now)
}

function* exactFaults(compiled: CompiledSpec, readTime: ReadTime, event: Exact, now: number): Generator<Fault> {
  const { id, explode } = compiled.spec.event
  const own = compiled.fields.filter(field => !field.line)
  const ofLines = compiled.fields.filter(field => field.line)
  const lines = explode ? (valueAt(event, explode.path.split('.')) as Exact[]) : []
  yield* [
    ...(id ? idFaults(id, event, compiled.spec.event.integralIds === true) : []),
    ...timeFaults(compiled, readTime, event, now),
    ...own.flatMap(field => fieldFaults(field, event, '')),
  ]
  for (const [i, line] of lines.entries())
    yield* ofLines.flatMap(field => fieldFaults(field, line, `${explode!.path}[${i}].`))
  for (const line of explode ? lines : [null]) {
    const [first] = keyFaults(compiled, event, line)
    if (!first) continue
    yield first
    return
  }
}

/** The strings of a group-by key have at most 1 KiB together. The engine checks numbers, which have few digits. */
function keyFaults({ aggregations, fields }: CompiledSpec, event: Exact, line: Exact): Fault[] {
  return aggregations.flatMap(({ name, keys }) => {
    const texts = keys.map(key => fields[key]!).filter(field => field.type === 'string')
    const sizes = texts.map(field => {
      const value = fieldValue(field, field.line ? line : event)
      return Buffer.byteLength(typeof value === 'string' ? value : (field.default ?? ''))
    })
    const total = sizes.reduce((sum, size) => sum + size, 0)
    if (total <= MAX_KEY_BYTES) return []
    const { path } = texts[sizes.indexOf(Math.max(...sizes))]!
    const message = `is too long: the groupBy values of ${name} have ${total} bytes together, more than ${MAX_KEY_BYTES}`
    return [{ field: path.join('.'), message }]
  })
}

/** Returns the text that identifies the sale, or null. "5" and 5 are the same; with integralIds, 5.0 is, too. */
export function idText(compiled: CompiledSpec, event: Exact): string | null {
  const { id } = compiled.spec.event
  const value = id ? valueAt(event, id.split('.')) : null
  if (!(value instanceof NumberText)) return value as string | null
  return INTEGER.test(value.text) ? value.text : integerText(value.text)
}

/** Returns the digits of a number without a fraction, of at most 30 digits. */
function integerText(text: string): string {
  const { negative, digits, point } = partsOf(text)
  return digits === '' ? '0' : `${negative ? '-' : ''}${digits.padEnd(point, '0')}`
}

export function valueAt(event: Exact, path: string[]): Exact {
  let value: Exact | undefined = event
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null
    value = (value as { [name: string]: Exact })[name]!
  }
  return value
}

function idFaults(path: string, event: Exact, integral: boolean): Fault[] {
  const value = valueAt(event, path.split('.'))
  if (value instanceof NumberText && !INTEGER.test(value.text)) {
    if (integral) return numberFaults(path, value.text, 0, false)
    return [{ field: path, message: 'must be a string or a whole number' }]
  }
  return typeof value === 'string' ? textFaults(path, value) : []
}

function timeFaults({ spec }: CompiledSpec, readTime: ReadTime, event: Exact, now: number): Fault[] {
  const { path, zone, unit, notBefore } = spec.event.time
  if (path === undefined) return []
  const value = valueAt(event, path.split('.'))
  const text: TimeText = value instanceof NumberText ? { epoch: value.text } : readTime(value as string)!
  const time = 'epoch' in text ? Number(text.epoch) * MS_PER_UNIT[unit] : timeOf(text.rfc3339, zone)
  if ('rfc3339' in text && zone === undefined && !/(Z|[+-]\d\d:\d\d)$/i.test(text.rfc3339))
    return [{ field: path, message: 'must have a zone, such as Z or -03:00' }]
  if (Number.isNaN(time)) return [{ field: path, message: 'must be a date that exists' }]
  if (time < FIRST_EVENT_TIME || time > LAST_EVENT_TIME)
    return [{ field: path, message: 'must have a year from 0001 to 9999' }]
  if (time < Date.parse(notBefore)) return [{ field: path, message: `must not be before ${notBefore}` }]
  if (time <= now + spec.watermark.maxFutureSkew) return []
  return [{ field: path, message: `must not be more than ${spec.watermark.maxFutureSkew / 1000} s in the future` }]
}

/** Returns ms since the epoch; NaN for a date such as 30 February. */
function timeOf(text: string, zone: string | undefined): number {
  const date = text.slice(0, 10)
  const day = new Date(`${date}T00:00:00Z`)
  if (Number.isNaN(day.getTime()) || !day.toISOString().startsWith(date)) return Number.NaN
  const clock = text.slice(11).toUpperCase()
  if (!CLOCK.test(clock)) return Number.NaN
  const offset = /[Z]|[+-]..:..$/.test(clock) ? '' : zone === 'UTC' ? 'Z' : zone
  return Date.parse(`${date}T${clock}${offset}`)
}

function fieldFaults(field: CompiledField, event: Exact, prefix: string): Fault[] {
  const value = fieldValue(field, event)
  const name = prefix + field.path.join('.')
  const { scale, rounds } = field
  if (value instanceof NumberText) return numberFaults(name, value.text, scale, rounds)
  if (typeof value !== 'string') return []
  return field.type === 'decimal' ? numberFaults(name, value, scale, rounds) : textFaults(name, value)
}

/** Returns the value of a field; null for a blank text that counts as null. */
function fieldValue({ path, blankAsNull }: CompiledField, holder: Exact): Exact {
  const value = valueAt(holder, path)
  return blankAsNull && typeof value === 'string' && /^[ \t\n\r]*$/.test(value) ? null : value
}

function numberFaults(field: string, text: string, scale: number, rounds: boolean): Fault[] {
  const { digits, point } = partsOf(text)
  if (digits === '') return []
  // Nines up to the place that decides about rounding: one more digit before the decimal point.
  const roundsUp = rounds && point === MAX_INTEGER_DIGITS && new RegExp(`^9{${point + scale}}[5-9]`).test(digits)
  if (point > MAX_INTEGER_DIGITS || roundsUp)
    return [{ field, message: `must have at most ${MAX_INTEGER_DIGITS} digits before the decimal point` }]
  if (rounds || digits.length - point <= scale) return []
  return [{ field, message: scale === 0 ? 'must have no decimals' : `must have at most ${scale} decimals` }]
}

/** Returns the parts of ±0.DIGITS × 10^point, without leading and trailing zeros; zero has no digits. */
function partsOf(text: string): { negative: boolean; digits: string; point: number } {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!
  const digits = (whole! + fraction).replace(/^0+/, '')
  return {
    negative: sign === '-',
    digits: trimZeros(digits),
    point: digits.length - fraction.length + Number(exponent),
  }
}

/** Uses a loop because /0+$/ takes quadratic time on a long run of zeros that a digit follows. */
function trimZeros(digits: string): string {
  let end = digits.length
  while (end > 0 && digits[end - 1] === '0') end--
  return digits.slice(0, end)
}

function textFaults(field: string, text: string): Fault[] {
  if (text.isWellFormed() && !text.includes('\0')) return []
  return [{ field, message: 'must be valid Unicode without U+0000' }]
}
