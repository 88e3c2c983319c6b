/**
 * Exact integers for money. An amount is an integer scaled by 10^scale of its column: a JavaScript number while it is a
 * safe integer, a bigint beyond. The form is canonical, so `===` compares values.
 */

/** An exact integer, scaled by 10^scale of its column: a number while it is a safe integer, else a bigint. */
export type Amount = number | bigint

/** Returns a + b, exact. */
export function add(a: Amount, b: Amount): Amount {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    // Two safe integers whose rounded sum is safe were added exactly.
    if (Number.isSafeInteger(sum)) return sum
  }
  return canonical(BigInt(a) + BigInt(b))
}

/** Returns a − b, exact. */
export function subtract(a: Amount, b: Amount): Amount {
  return add(a, negate(b))
}

/** Returns a × b, exact; the scales add up. */
export function multiply(a: Amount, b: Amount): Amount {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    if (Number.isSafeInteger(product)) return product + 0 // + 0 turns -0 into 0
  }
  return canonical(BigInt(a) * BigInt(b))
}

export function negate(a: Amount): Amount {
  return typeof a === 'number' ? 0 - a : -a
}

/** Returns the same value with `to` instead of `from` decimals. Fewer decimals are rounded half to even. */
export function rescale(amount: Amount, from: number, to: number): Amount {
  if (to === from) return amount
  if (to > from) return multiply(amount, powerOfTen(to - from))
  const value = BigInt(amount)
  const divisor = BigInt(powerOfTen(from - to))
  const quotient = value / divisor
  const rest = value % divisor
  const twice = (rest < 0n ? -rest : rest) * 2n
  const up = twice > divisor || (twice === divisor && quotient % 2n !== 0n)
  return canonical(up ? quotient + (value < 0n ? -1n : 1n) : quotient)
}

/** Returns plain decimal text: 1234 with scale 2 → "12.34". */
export function decimalText(amount: Amount, scale: number): string {
  const text = String(amount)
  if (scale === 0) return text
  const sign = text.startsWith('-') ? '-' : ''
  const digits = text.slice(sign.length).padStart(scale + 1, '0')
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Returns the canonical form: a number when it is a safe integer. */
export function canonical(value: bigint): Amount {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function powerOfTen(exponent: number): Amount {
  return exponent <= 15 ? 10 ** exponent : 10n ** BigInt(exponent)
}
