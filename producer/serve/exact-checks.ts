/** Checks that a JSON schema cannot express: original digits, existing dates, strings that can be stored. Pure. */

import type { CompiledField, CompiledSpec } from '#pipeline/compiled-spec.ts'
import { FIRST_EVENT_TIME, LAST_EVENT_TIME, MAX_INTEGER_DIGITS, MAX_KEY_BYTES } from '#pipeline/limits.ts'
import { type TimeText, timeTextReader } from '#pipeline/time-forms.ts'
import { type Exact, NumberText, valueAt } from './exact-json.ts'

export type Fault = { field: string; message: string }

const INTEGER = /^-?\d+$/
/** Date.parse also accepts 24:00 and 30 February, and leaves offsets unchecked. */
const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?)(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$/i
const UTC_OR_OFFSET = /(Z|[+-]\d\d:\d\d)$/i
const NONE: Fault[] = []
const MS_PER_UNIT = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 }

/** Returns a function that finds the faults of an event that has passed its schema. `now`: the record's timestamp, ms. */
export function exactFaultFinder(compiled: CompiledSpec): (event: Exact, now: number) => Iterable<Fault> {
  const { id, explode, integralIds } = compiled.spec.event
  const own = compiled.fields.filter(field => !field.line)
  const ofLines = compiled.fields.filter(field => field.line)
  const ofTime = timeCheck(compiled)
  const ofKeys = keyCheck(compiled)
  const ofEvent = (event: Exact, now: number) => [
    ...(id ? idFaults(id, event, integralIds === true) : []),
    ...ofTime(event, now),
    ...own.flatMap(field => fieldFaults(field, event, '')),
  ]
  if (!explode) return (event, now) => [...ofEvent(event, now), ...ofKeys(event, null)]
  const path = explode.path.split('.')
  return function* (event, now) {
    const lines = valueAt(event, path) as Exact[]
    yield* ofEvent(event, now)
    for (const [i, line] of lines.entries())
      yield* ofLines.flatMap(field => fieldFaults(field, line, `${explode.path}[${i}].`))
    for (const line of lines) {
      const faults = ofKeys(event, line)
      yield* faults
      if (faults.length > 0) return
    }
  }
}

/** The strings of a group-by key have at most 1 KiB together. The engine checks numbers, which have few digits. */
function keyCheck({ aggregations, fields }: CompiledSpec): (event: Exact, line: Exact) => Fault[] {
  const groups = aggregations.map(({ name, keys }) => ({
    name,
    texts: keys.map(key => fields[key]!).filter(field => field.type === 'string'),
  }))
  return (event, line) =>
    groups.flatMap(({ name, texts }) => {
      const sizes = texts.map(field => {
        const value = fieldValue(field, field.line ? line : event)
        return Buffer.byteLength(typeof value === 'string' ? value : (field.default ?? ''))
      })
      const total = sizes.reduce((sum, size) => sum + size, 0)
      if (total <= MAX_KEY_BYTES) return NONE
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

function idFaults(path: string, event: Exact, integral: boolean): Fault[] {
  const value = valueAt(event, path.split('.'))
  if (value instanceof NumberText && !INTEGER.test(value.text)) {
    if (integral) return numberFaults(path, value.text, 0, false)
    return [{ field: path, message: 'must be a string or a whole number' }]
  }
  return typeof value === 'string' ? textFaults(path, value) : NONE
}

function timeCheck({ spec }: CompiledSpec): (event: Exact, now: number) => Fault[] {
  const { path, zone, unit, notBefore } = spec.event.time
  if (path === undefined) return () => NONE
  const names = path.split('.')
  const readTime = timeTextReader(spec.event.time)
  const { maxFutureSkew } = spec.watermark
  const earliest = Date.parse(notBefore)
  const fault = (message: string) => [{ field: path, message }]
  return (event, now) => {
    const value = valueAt(event, names)
    const text: TimeText = value instanceof NumberText ? { epoch: value.text } : readTime(value as string)!
    const isEpoch = 'epoch' in text
    if (!isEpoch && zone === undefined && !UTC_OR_OFFSET.test(text.rfc3339))
      return fault('must have a zone, such as Z or -03:00')
    const time = isEpoch ? Number(text.epoch) * MS_PER_UNIT[unit] : timeOf(text.rfc3339, zone)
    if (Number.isNaN(time)) return fault('must be a date that exists')
    if (time < FIRST_EVENT_TIME || time > LAST_EVENT_TIME) return fault('must have a year from 0001 to 9999')
    if (time < earliest) return fault(`must not be before ${notBefore}`)
    if (time > now + maxFutureSkew) return fault(`must not be more than ${maxFutureSkew / 1000} s in the future`)
    return NONE
  }
}

/** Returns ms since the epoch; NaN for a date such as 30 February. */
function timeOf(text: string, zone: string | undefined): number {
  const [, year, month, day, clock, offset = zone === 'UTC' ? 'Z' : zone] = RFC3339.exec(text) ?? []
  if (Number(day) > daysOf(Number(year), Number(month))) return Number.NaN
  return Date.parse(`${year}-${month}-${day}T${clock}${offset}`.toUpperCase())
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

function fieldFaults(field: CompiledField, event: Exact, prefix: string): Fault[] {
  const value = fieldValue(field, event)
  const name = prefix + field.path.join('.')
  const { scale, rounds } = field
  if (value instanceof NumberText) return numberFaults(name, value.text, scale, rounds)
  if (typeof value !== 'string') return NONE
  return field.type === 'decimal' ? numberFaults(name, value, scale, rounds) : textFaults(name, value)
}

/** Returns the value of a field; null for a blank text that counts as null. */
function fieldValue({ path, blankAsNull }: CompiledField, holder: Exact): Exact {
  const value = valueAt(holder, path)
  return blankAsNull && typeof value === 'string' && /^[ \t\n\r]*$/.test(value) ? null : value
}

function numberFaults(field: string, text: string, scale: number, rounds: boolean): Fault[] {
  const { digits, point } = partsOf(text)
  if (digits === '') return NONE
  // Nines up to the place that decides about rounding: one more digit before the decimal point.
  const roundsUp = rounds && point === MAX_INTEGER_DIGITS && new RegExp(`^9{${point + scale}}[5-9]`).test(digits)
  if (point > MAX_INTEGER_DIGITS || roundsUp)
    return [{ field, message: `must have at most ${MAX_INTEGER_DIGITS} digits before the decimal point` }]
  if (rounds || digits.length - point <= scale) return NONE
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
  if (text.isWellFormed() && !text.includes('\0')) return NONE
  return [{ field, message: 'must be valid Unicode without U+0000' }]
}
