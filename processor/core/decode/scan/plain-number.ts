/** Numbers as ordinary events spell them: no exponent, few enough digits for exact arithmetic on doubles. */

const DOT = 0x2e
const MINUS = 0x2d
const NINE = 0x39
const SMALL = 0x20
const SMALL_E = 0x65
const ZERO = 0x30

/** 10^15 < 2^53, so integers of 15 digits are exact. */
const MAX_DIGITS = 15
const POWERS = Float64Array.from({ length: MAX_DIGITS + 1 }, (_, i) => 10 ** i)

/** Each read answers the position behind the number, or −1 when it is not a plain one; then the fields mean nothing. */
export class PlainNumber {
  value = 0
  /** Where the canonical text ends that starts where the number starts: without trailing zeros of decimals. */
  textEnd = 0

  /** Sets `value` to the number scaled by 10^scale. */
  read(bytes: Buffer, p: number, scale: number): number {
    const negative = bytes[p] === MINUS
    const first = negative ? p + 1 : p
    p = wholeEnd(bytes, first)
    if (p < 0 || p - first + scale > MAX_DIGITS) return -1
    let value = digits(bytes, first, p)
    this.textEnd = p
    let decimals = 0
    if (bytes[p] === DOT) {
      const dot = p++
      for (; isDigit(bytes[p]!); p++) {
        const digit = bytes[p]! - ZERO
        if (decimals < scale) {
          value = value * 10 + digit
          decimals++
        } else if (digit !== 0) return -1
        if (digit !== 0) this.textEnd = p + 1
      }
      if (p === dot + 1) return -1
    }
    // "-0" has the text of "0", which is not there to point at.
    if (isExponent(bytes[p]!) || (negative && value === 0)) return -1
    if (decimals < scale) value *= POWERS[scale - decimals]!
    this.value = negative ? -value : value
    return p
  }

  /** Sets `value` to the greatest integer at or below the number × 10^shift; not for negative ones. */
  readFloored(bytes: Buffer, p: number, shift: number): number {
    const first = p
    p = wholeEnd(bytes, first)
    if (p < 0 || p - first + shift > MAX_DIGITS) return -1
    let value = digits(bytes, first, shift < 0 ? p + shift : p)
    let wanted = Math.max(0, shift)
    if (bytes[p] === DOT) {
      const dot = p++
      for (; isDigit(bytes[p]!); p++)
        if (wanted > 0) {
          value = value * 10 + bytes[p]! - ZERO
          wanted--
        }
      if (p === dot + 1) return -1
    }
    if (isExponent(bytes[p]!)) return -1
    this.value = value * POWERS[wanted]!
    return p
  }
}

/** Behind the integer digits at p: one, or more without a leading zero; −1 if there are none. */
export function wholeEnd(bytes: Buffer, p: number): number {
  if (bytes[p] === ZERO) return p + 1
  const first = p
  while (isDigit(bytes[p]!)) p++
  return p === first ? -1 : p
}

function digits(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let p = start; p < end; p++) value = value * 10 + bytes[p]! - ZERO
  return value
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE
}

export function isExponent(byte: number): boolean {
  return (byte | SMALL) === SMALL_E
}
