/** Exact decimals from their text (contract, section 7): nothing passes through binary floating point. */
import { MAX_INTEGER_DIGITS } from '#pipeline/limits.ts'
import type { Amount } from '../exact.ts'
import { canonical, decimalText } from '../exact.ts'

/** 10^15 milliseconds are far beyond the year 9999. */
const MAX_SAFE_DIGITS = 15

/** The grammar of JSON numbers. */
const NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
const ZERO = 0x30

/** ±0.DIGITS × 10^point, without leading or trailing zeros; zero has no digits. */
type Parts = { negative: boolean; digits: string; point: number }

type NumberFault = 'bad_number' | 'overflow' | 'too_many_decimals'

/** Returns the number in `text` as an integer scaled by 10^scale. `rounds`: more decimals are rounded half-even. */
export function parseDecimal(text: string, scale: number, rounds = false): Amount | NumberFault {
  const parts = partsOf(text)
  if (parts === null) return 'bad_number'
  const { negative, digits, point } = parts
  if (digits === '') return 0
  if (point > MAX_INTEGER_DIGITS) return 'overflow'
  const decimals = digits.length - point
  if (decimals > scale) return rounds ? roundedParts(parts, scale) : 'too_many_decimals'
  return canonical(BigInt(`${negative ? '-' : ''}${digits}${'0'.repeat(scale - decimals)}`))
}

/** Rounds a number that has more decimals than `scale`, so that digits remain after the kept ones. */
function roundedParts({ negative, digits, point }: Parts, scale: number): Amount | NumberFault {
  const kept = point + scale
  if (kept < 0) return 0
  const whole = BigInt(digits.slice(0, kept))
  const next = digits[kept]!
  const isTie = next === '5' && digits.length === kept + 1
  const size = (isTie ? whole % 2n === 1n : next >= '5') ? whole + 1n : whole
  if (size >= 10n ** BigInt(MAX_INTEGER_DIGITS + scale)) return 'overflow'
  return canonical(negative ? -size : size)
}

/** Returns the greatest integer at or below text × 10^shift; ±Infinity beyond 15 digits; NaN when not a number. */
export function parseFloored(text: string, shift: number): number {
  const parts = partsOf(text)
  if (parts === null) return Number.NaN
  const { negative, digits } = parts
  const point = parts.point + shift
  if (digits === '') return 0
  if (point > MAX_SAFE_DIGITS) return negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const whole = point <= 0 ? 0 : Number(digits.slice(0, point).padEnd(point, '0'))
  const cut = digits.length > point
  return negative ? 0 - whole - (cut ? 1 : 0) : whole
}

/** Returns plain decimal text without trailing zeros: "12.5", "-3", "0". Each value has one text. */
export function canonicalText(amount: Amount, scale: number): string {
  const text = decimalText(amount, scale)
  return scale === 0 ? text : text.replace(/\.?0+$/, '')
}

function partsOf(text: string): Parts | null {
  const match = NUMBER.exec(text)
  if (match === null) return null
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const all = whole + fraction
  // Loops instead of /0+$/, which takes quadratic time on a long run of zeros before another digit.
  let end = all.length
  while (end > 0 && all.charCodeAt(end - 1) === ZERO) end--
  let start = 0
  while (start < end && all.charCodeAt(start) === ZERO) start++
  return { negative: sign === '-', digits: all.slice(start, end), point: whole.length - start + Number(exponent) }
}
