/** Event times: text in one of the declared forms or an epoch number, floored to milliseconds since the epoch. */
import Big from 'big.js'

/** 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
const EARLIEST = -62_135_596_800_000
export const LATEST = 253_402_300_799_999

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?$/

/** The parts of a time as written; the date may not exist. `zone`: null if it is not written. */
export interface TimeParts {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
  /** Digits of the fraction of a second. */
  fraction: string
  zone: string | null
}

/** Returns ms since the epoch; undefined when the text is not a valid time, or has no zone and none is declared. */
export function parseRfc3339(text: string, declaredZone: string | null): number | undefined {
  const parts = rfc3339Parts(text)
  return parts && instant(parts, declaredZone)
}

/** Returns the parts of a text in a form: rfc3339, iso8601 or a pattern. Returns undefined when it has another form. */
export function timeParts(format: string, text: string): TimeParts | undefined {
  if (format === 'rfc3339') return rfc3339Parts(text)
  return format === 'iso8601' ? iso8601Parts(text) : patternParts(format, text)
}

function rfc3339Parts(text: string): TimeParts | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { year, month, day, hour, minute, second, fraction: match[7] ?? '', zone: match[8] ?? null }
}

/** Brings the looser form into RFC 3339, one part after the other from the end of the text. */
function iso8601Parts(text: string): TimeParts | undefined {
  const date = text.slice(0, 10)
  if (text.length === 10) return rfc3339Parts(`${date} 00:00:00`)
  let clock = text.slice(11)
  let zone = ''
  const written = /(UTC|GMT|[Zz]|[+-]\d\d(:?\d\d)?)$/.exec(clock)
  if (written) {
    clock = clock.slice(0, written.index)
    if (clock.endsWith(' ')) clock = clock.slice(0, -1)
    const digits = written[0].replace(/\D/g, '')
    zone = digits === '' ? 'Z' : `${written[0][0]}${digits.slice(0, 2)}:${digits.slice(2) || '00'}`
  }
  if (clock.length === 5) clock += ':00'
  if (clock[8] === ',') clock = `${clock.slice(0, 8)}.${clock.slice(9)}`
  return rfc3339Parts(`${date}${text[10]}${clock}${zone}`)
}

const NAMES = { yyyy: 'year', MM: 'month', dd: 'day', HH: 'hour', mm: 'minute', ss: 'second' } as const

function patternParts(pattern: string, text: string): TimeParts | undefined {
  const parts: TimeParts = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, fraction: '', zone: null }
  let at = 0
  for (const token of pattern.match(/yyyy|MM|dd|HH|mm|ss|S+|XXX|./g) ?? []) {
    const rest = text.slice(at)
    const found = token === 'XXX' ? /^(Z|[+-]\d\d:\d\d)/.exec(rest)?.[0] : rest.slice(0, token.length)
    if (found === undefined) return undefined
    at += found.length
    if (token === 'XXX') parts.zone = found
    else if (token[0] === 'S' || token in NAMES) {
      if (!new RegExp(`^[0-9]{${token.length}}$`).test(found)) return undefined
      if (token[0] === 'S') parts.fraction = found
      else parts[NAMES[token as keyof typeof NAMES]] = Number(found)
    } else if (found !== token) return undefined
  }
  return at === text.length ? parts : undefined
}

/** Returns ms since the epoch; undefined for a date that does not exist, or without a zone when none is declared. */
export function instant(parts: TimeParts, declaredZone: string | null): number | undefined {
  const { year, month, day, hour, minute, second, fraction } = parts
  const zone = zoneMinutes(parts.zone ?? declaredZone)
  const midnight = startOfDay(year, month, day)
  if (zone === undefined || midnight === undefined || hour > 23 || minute > 59 || second > 59) return undefined
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return inRange(midnight + ((hour * 60 + minute - zone) * 60 + second) * 1000 + milliseconds)
}

/** Returns minutes east of UTC; undefined without a zone or with an invalid one. */
function zoneMinutes(zone: string | null): number | undefined {
  if (zone === null) return undefined
  if (/^(Z|z|UTC)$/.test(zone)) return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))]
  if (hours > 23 || minutes > 59) return undefined
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

function startOfDay(year: number, month: number, day: number): number | undefined {
  // Date.UTC would treat years below 100 as 19xx.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return exists ? date.getTime() : undefined
}

const IN_MILLISECONDS = { s: '1000', ms: '1', us: '0.001', ns: '0.000001' }

/** Returns ms since the epoch for a JSON number in the declared unit; undefined outside years 0001 to 9999. */
export function parseEpoch(text: string, unit: keyof typeof IN_MILLISECONDS): number | undefined {
  const exact = new Big(text).times(IN_MILLISECONDS[unit])
  if (exact.e > 20) return undefined
  const truncated = exact.round(0, Big.roundDown)
  return inRange(truncated.gt(exact) ? truncated.toNumber() - 1 : truncated.toNumber())
}

function inRange(time: number): number | undefined {
  // Adding 0 turns a negative zero into zero.
  return time >= EARLIEST && time <= LATEST ? time + 0 : undefined
}
