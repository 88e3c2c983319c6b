/** Reads numbers of ordinary events: no exponent, few enough digits for exact arithmetic on doubles. */

const DOT = 0x2e
const MINUS = 0x2d
const NINE = 0x39
const SMALL = 0x20
const SMALL_E = 0x65
const ZERO = 0x30

/** 10^15 < 2^53, so integers of 15 digits are exact. */
const MAX_DIGITS = 15
const POWERS = Float64Array.from({ length: MAX_DIGITS + 1 }, (_, i) => 10 ** i)

/** Each read returns the position after the number, or −1 when it is not plain; the fields are then undefined. */
export class PlainNumber {
  value = 0
  /** End of the canonical text, which starts with the number and excludes trailing zeros of the decimals. */
  textEnd = 0

  /** Sets `value` to the number scaled by 10^scale. `rounds`: more decimals are rounded half-even; `textEnd` is then undefined. */
  read(bytes: Buffer, p: number, scale: number, rounds: boolean): number {
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
        } else if (digit !== 0) return rounds ? this.#round(bytes, dot + 1 + scale, value, negative) : -1
        if (digit !== 0) this.textEnd = p + 1
      }
      if (p === dot + 1) return -1
    }
    // The canonical text of "-0" is "0", which is not a range of these bytes from their start.
    if (isExponent(bytes[p]!) || (negative && value === 0)) return -1
    if (decimals < scale) value *= POWERS[scale - decimals]!
    this.value = negative ? -value : value
    return p
  }

  /** `excess`: position of the first digit beyond the scale; one of them is not 0. `value`: the number without them. */
  #round(bytes: Buffer, excess: number, value: number, negative: boolean): number {
    const next = bytes[excess]! - ZERO
    let p = excess + 1
    let isTie = next === 5
    for (; isDigit(bytes[p]!); p++) if (bytes[p] !== ZERO) isTie = false
    if (isExponent(bytes[p]!)) return -1
    const rounded = (isTie ? value % 2 === 1 : next >= 5) ? value + 1 : value
    // 0 - 0 is 0, while -0 is another value to ===.
    this.value = negative ? 0 - rounded : rounded
    return p
  }

  /** Sets `value` to the greatest integer at or below the number × 10^shift; not for negative ones. */
  readFloored(bytes: Buffer, p: number, shift: number): number {
    const first = p
    p = wholeEnd(bytes, first)
    if (p < 0 || p - first + shift > MAX_DIGITS) return -1
    let value = digits(bytes, first, shift < 0 ? p + shift : p)
    let missing = Math.max(0, shift)
    if (bytes[p] === DOT) {
      const dot = p++
      for (; isDigit(bytes[p]!); p++)
        if (missing > 0) {
          value = value * 10 + bytes[p]! - ZERO
          missing--
        }
      if (p === dot + 1) return -1
    }
    if (isExponent(bytes[p]!)) return -1
    this.value = value * POWERS[missing]!
    return p
  }
}

/** Returns the position after the integer digits at p (one, or more without a leading zero), or −1 without digits. */
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
