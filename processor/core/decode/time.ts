/** Parses event times (contract, section 5): milliseconds since the epoch, floored; NaN for invalid times. */
import { FIRST_EVENT_TIME, LAST_EVENT_TIME } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import { parseFloored } from './number.ts'

const COLON = 0x3a
const DOT = 0x2e
const MINUS = 0x2d
const NINE = 0x39
const PLUS = 0x2b
const SMALL = 0x20
const SMALL_T = 0x74
const SMALL_Z = 0x7a
const SPACE = 0x20
const ZERO = 0x30

const MINUTE = 60_000
const HOUR = 3_600_000
/** The Gregorian calendar repeats itself after 400 years of 146,097 days. */
const CYCLE_YEARS = 400
const CYCLE = 146_097 * 24 * HOUR
/** YYYY-MM-DDTHH:MM:SS */
const SHORTEST = 19

type EpochUnit = 's' | 'ms' | 'us' | 'ns'

/** An epoch of this unit times 10^shift is milliseconds. */
export const EPOCH_SHIFT: Record<EpochUnit, number> = { s: 3, ms: 0, us: -3, ns: -6 }

/** Returns the earliest allowed time. Specs that releases up to 0.3.0 stored have no bound. */
export function earliestTime({ notBefore }: Partial<Pick<Spec['event']['time'], 'notBefore'>>): number {
  return notBefore === undefined ? FIRST_EVENT_TIME : Date.parse(notBefore)
}

/** Parses an epoch from JSON number text. */
export function parseEpoch(text: string, unit: EpochUnit): number {
  return withinYears(parseFloored(text, EPOCH_SHIFT[unit]))
}

/** Returns `time` if it is in the years 0001 to 9999, else NaN. */
export function withinYears(time: number): number {
  return time >= FIRST_EVENT_TIME && time <= LAST_EVENT_TIME ? time : Number.NaN
}

/** Returns whether a record has this timestamp: producers may leave it out, which is −1. */
export function isTimestamp(timestamp: number): boolean {
  return timestamp >= 0 && timestamp <= LAST_EVENT_TIME
}

/** Parses RFC 3339 text. Remembers the last day, because events arrive roughly in order of time. */
export class Rfc3339 {
  /** Offset in ms of times without one; NaN: an offset is required. */
  readonly #defaultOffset: number
  #day = 0
  #dayStart = Number.NaN

  /** `zone`: spec.event.time.zone, which is Z, UTC or a fixed offset such as -03:00. */
  constructor(zone: string | undefined) {
    const bytes = Buffer.from(zone === undefined || zone === 'UTC' ? 'Z' : zone)
    this.#defaultOffset = zone === undefined ? Number.NaN : offsetAt(bytes, 0, bytes.length)
  }

  /** Returns the time in bytes[start, end), or NaN unless all bytes are one time. */
  parse(bytes: Buffer, start: number, end: number): number {
    if (end - start < SHORTEST) return Number.NaN
    const separator = bytes[start + 10]!
    if ((separator | SMALL) !== SMALL_T && separator !== SPACE) return Number.NaN
    let time = this.#dayAt(bytes, start) + clockAt(bytes, start + 11)
    let p = start + SHORTEST
    if (p < end && bytes[p] === DOT) {
      const first = ++p
      for (let unit = 100; p < end && isDigit(bytes[p]!); p++, unit = (unit / 10) | 0) time += unit * (bytes[p]! - ZERO)
      if (p === first) return Number.NaN
    }
    return withinYears(time - (p === end ? this.#defaultOffset : offsetAt(bytes, p, end)))
  }

  /** Returns the start of the day YYYY-MM-DD. */
  #dayAt(bytes: Buffer, p: number): number {
    const century = twoDigits(bytes, p)
    const year = twoDigits(bytes, p + 2)
    const month = twoDigits(bytes, p + 5)
    const date = twoDigits(bytes, p + 8)
    if (century < 0 || year < 0 || month < 1 || date < 1) return Number.NaN
    if (bytes[p + 4] !== MINUS || bytes[p + 7] !== MINUS) return Number.NaN
    const day = ((century * 100 + year) * 100 + month) * 100 + date
    if (day !== this.#day) {
      this.#day = day
      this.#dayStart = dayStart(century * 100 + year, month, date)
    }
    return this.#dayStart
  }
}

function dayStart(year: number, month: number, date: number): number {
  // One cycle later, because Date.UTC takes the years 0 to 99 for 1900 to 1999.
  const day = new Date(Date.UTC(year + CYCLE_YEARS, month - 1, date))
  // Date.UTC carries the 30th of February over into March.
  const exists = day.getUTCMonth() === month - 1
  return exists ? day.getTime() - CYCLE : Number.NaN
}

/** Returns the milliseconds of HH:MM:SS. */
function clockAt(bytes: Buffer, p: number): number {
  const hour = twoDigits(bytes, p)
  const minute = twoDigits(bytes, p + 3)
  const second = twoDigits(bytes, p + 6)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return Number.NaN
  if (bytes[p + 2] !== COLON || bytes[p + 5] !== COLON) return Number.NaN
  return hour * HOUR + minute * MINUTE + second * 1000
}

/** Returns the milliseconds of Z or ±HH:MM, which must fill [p, end). */
function offsetAt(bytes: Buffer, p: number, end: number): number {
  const sign = bytes[p]!
  if (end - p === 1) return (sign | SMALL) === SMALL_Z ? 0 : Number.NaN
  if (end - p !== 6 || bytes[p + 3] !== COLON) return Number.NaN
  const hours = twoDigits(bytes, p + 1)
  const minutes = twoDigits(bytes, p + 4)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN
  const offset = hours * HOUR + minutes * MINUTE
  return sign === PLUS ? offset : sign === MINUS ? -offset : Number.NaN
}

/** Returns 0 to 99, or −1. */
function twoDigits(bytes: Buffer, p: number): number {
  const tens = bytes[p]!
  const ones = bytes[p + 1]!
  return isDigit(tens) && isDigit(ones) ? (tens - ZERO) * 10 + ones - ZERO : -1
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE
}
