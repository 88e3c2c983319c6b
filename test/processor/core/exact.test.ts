import Big from 'big.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { add, canonical, decimalText, multiply, rescale, subtract } from '#processor/core/exact.ts'
import { check } from '#test/support/properties.ts'

/** Around zero, around the edge of safe integers, and far beyond it. */
const amount = fc
  .oneof(
    fc.bigInt({ min: -1000n, max: 1000n }),
    fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
    fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
  )
  .map(canonical)

describe('exact amounts', () => {
  it('adds, subtracts and multiplies like bigint, in canonical form', () => {
    check(
      fc.property(amount, amount, (a, b) => {
        expect(add(a, b)).toBe(canonical(BigInt(a) + BigInt(b)))
        expect(subtract(a, b)).toBe(canonical(BigInt(a) - BigInt(b)))
        expect(multiply(a, b)).toBe(canonical(BigInt(a) * BigInt(b)))
      }),
      { numRuns: 2000 },
    )
  })

  it('never returns negative zero, which PostgreSQL and Object.is distinguish from zero', () => {
    expect(Object.is(multiply(-5, 0), 0)).toBe(true)
    expect(Object.is(add(-1, 1), 0)).toBe(true)
  })

  it('rounds half to even, like big.js', () => {
    Big.RM = Big.roundHalfEven
    check(
      fc.property(amount, fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 }), (value, from, to) => {
        const expected = new Big(decimalText(value, from)).round(to, Big.roundHalfEven).toFixed(to)
        const shown = decimalText(rescale(value, from, to), to)
        expect(new Big(shown).eq(expected)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    [25, 1, '2'],
    [35, 1, '4'],
    [-25, 1, '-2'],
    [-35, 1, '-4'],
    [251, 2, '3'],
  ])('rounds %d with %d decimals to %s', (value, from, text) => {
    expect(decimalText(rescale(value, from, 0), 0)).toBe(text)
  })

  it.each([
    [0, 2, '0.00'],
    [-5, 2, '-0.05'],
    [1234, 2, '12.34'],
    [-1234, 0, '-1234'],
    [10n ** 30n, 2, `1${'0'.repeat(28)}.00`],
  ])('formats %s with scale %d as %s', (value, scale, text) => {
    expect(decimalText(value, scale)).toBe(text)
  })
})
