import Big from 'big.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalText, parseDecimal, parseFloored } from '#processor/core/decode/number.ts'
import { PlainNumber } from '#processor/core/decode/scan/plain-number.ts'
import { check } from '#test/support/properties.ts'

const digits = (max: number) => fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: max })

/** Numbers in the grammar of JSON, many with leading or trailing zeros, some with an exponent. */
const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    digits(34).map(text => text.replace(/^0+(?=\d)/, '')),
    fc.option(digits(16), { nil: '' }),
    fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'E-', 'e-'), fc.integer({ min: 0, max: 40 })), {
      nil: undefined,
    }),
  )
  .map(([sign, whole, fraction, exponent]) =>
    [sign, whole, fraction && `.${fraction}`, exponent ? exponent.join('') : ''].join(''),
  )

describe('parseDecimal', () => {
  it.each([
    ['0', 2, 0],
    ['-0', 2, 0],
    ['-0.00', 2, 0],
    ['0e999999', 2, 0],
    ['0.0e-999999', 0, 0],
    ['12.5', 2, 1250],
    ['-12.50', 2, -1250],
    ['0.1', 2, 10],
    ['0.2', 2, 20],
    ['1.10000', 1, 11],
    ['1.25e1', 1, 125],
    ['125E-1', 1, 125],
    ['1000e-3', 0, 1],
    ['9007199254740991', 0, Number.MAX_SAFE_INTEGER],
    ['9007199254740992', 0, 9007199254740992n],
    ['-90071992547409.92', 2, -9007199254740992n],
    ['999999999999999999999999999999', 12, 999999999999999999999999999999000000000000n],
    [`0.${'0'.repeat(1000)}1e1001`, 0, 1],
    ['1e30', 0, 'overflow'],
    ['1e400', 2, 'overflow'],
    [`1e${'9'.repeat(400)}`, 2, 'overflow'],
    [`-1${'0'.repeat(30)}.5`, 0, 'overflow'],
    ['1e-400', 2, 'too_many_decimals'],
    [`1e-${'9'.repeat(400)}`, 2, 'too_many_decimals'],
    ['12.345', 2, 'too_many_decimals'],
    ['0.5', 0, 'too_many_decimals'],
  ] as const)('parses %s at scale %d as %s', (text, scale, expected) => {
    expect(parseDecimal(text, scale)).toBe(expected)
  })

  it.each([
    '',
    ' 1',
    '1 ',
    '+1',
    '.5',
    '1.',
    '01',
    '-',
    '--1',
    '1e',
    '1e+',
    '0x10',
    '1,5',
    'NaN',
    'Infinity',
    '1_0',
    '1\n',
    '١',
  ])('refuses %j as a number', text => {
    expect(parseDecimal(text, 2)).toBe('bad_number')
  })

  it('parses decimals like big.js', () => {
    const seen = { amount: 0, overflow: 0, too_many_decimals: 0 }
    check(
      fc.property(numberText, fc.integer({ min: 0, max: 12 }), (text, scale) => {
        const exact = new Big(text)
        const fits = exact.abs().lt(new Big('1e30'))
        const scaled = exact.times(new Big(10).pow(scale))
        const isWhole = scaled.round(0, Big.roundDown).eq(scaled)
        const expected = !fits ? 'overflow' : isWhole ? BigInt(scaled.toFixed()) : 'too_many_decimals'
        const result = parseDecimal(text, scale)
        if (typeof expected === 'string') {
          seen[expected]++
          expect(result).toBe(expected)
        } else {
          seen.amount++
          expect(BigInt(result)).toBe(expected)
          expect(typeof result).toBe(Number.isSafeInteger(Number(expected)) ? 'number' : 'bigint')
        }
      }),
      { numRuns: 5000 },
    )
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100)
  })

  it.each([
    ['455.20000000000005', 2, 45520],
    ['0.30000000000000004', 2, 30],
    ['1299.989990234375', 2, 129999],
    ['3899.9700000000003', 2, 389997],
    ['0.005', 2, 0],
    ['0.015', 2, 2],
    ['0.025', 2, 2],
    ['0.0250000001', 2, 3],
    ['-0.015', 2, -2],
    ['-0.004', 2, 0],
    ['0.5', 0, 0],
    ['1.5', 0, 2],
    ['0.05', 0, 0],
    ['1e-400', 2, 0],
    [`1e-${'9'.repeat(400)}`, 2, 0],
    ['12.34', 2, 1234],
    [`${'9'.repeat(29)}.995`, 2, 10n ** 31n],
    [`${'9'.repeat(30)}.995`, 2, 'overflow'],
    [`-${'9'.repeat(30)}.5`, 0, 'overflow'],
    [`${'9'.repeat(30)}.4`, 0, 10n ** 30n - 1n],
    ['1e30', 0, 'overflow'],
    ['1,5', 2, 'bad_number'],
  ] as const)('rounds %s at scale %d half-even to %s', (text, scale, expected) => {
    expect(parseDecimal(text, scale, true)).toBe(expected)
    const plain = new PlainNumber()
    // The fast path leaves numbers with an exponent or many digits to the other one.
    if (plain.read(Buffer.from(`${text},`), 0, scale, true) === text.length) expect(plain.value).toBe(expected)
  })

  it('rounds numbers like big.js', () => {
    check(
      fc.property(numberText, fc.integer({ min: 0, max: 12 }), (text, scale) => {
        const rounded = new Big(text).round(scale, Big.roundHalfEven)
        const fits = new Big(text).abs().lt(new Big('1e30')) && rounded.abs().lt(new Big('1e30'))
        const expected = fits ? BigInt(rounded.times(new Big(10).pow(scale)).abs().toFixed()) : 'overflow'
        const result = parseDecimal(text, scale, true)
        const size = typeof result === 'string' ? result : BigInt(result)
        expect(typeof size === 'bigint' && size < 0n ? -size : size).toBe(expected)
        if (typeof size === 'bigint' && size !== 0n) expect(size < 0n).toBe(text.startsWith('-'))
      }),
      { numRuns: 3000 },
    )
  })

  it('needs time proportional to the digits, wherever the zeros are', () => {
    // A megabyte of zeros before the last digit makes a backtracking trim quadratic: minutes.
    expect(parseDecimal(`0.${'0'.repeat(1 << 20)}1`, 2)).toBe('too_many_decimals')
    expect(parseDecimal(`1${'0'.repeat(1 << 20)}1`, 2)).toBe('overflow')
  })
})

describe('parseFloored', () => {
  it.each([
    ['1.9', 0, 1],
    ['-1.1', 0, -2],
    ['-2', 0, -2],
    ['-0.0001', 0, -1],
    ['0.0001', 0, 0],
    ['-0', 3, 0],
    ['1735689600.123456', 3, 1735689600123],
    ['1735689600123456789', -6, 1735689600123],
    ['-1', -6, -1],
    ['1e400', 0, Number.POSITIVE_INFINITY],
    ['-1e400', 0, Number.NEGATIVE_INFINITY],
    ['1e-400', 0, 0],
    ['-1e-400', 0, -1],
    ['1.5e3', 0, 1500],
  ])('floors %s shifted by %d to %d', (text, shift, expected) => {
    expect(parseFloored(text, shift)).toBe(expected)
  })

  it('floors numbers like big.js', () => {
    check(
      fc.property(numberText, fc.constantFrom(3, 0, -3, -6), (text, shift) => {
        const exact = new Big(text).times(new Big(`1e${shift}`))
        const cut = exact.round(0, Big.roundDown)
        const floor = cut.gt(exact) ? cut.minus(1) : cut
        const result = parseFloored(text, shift)
        if (exact.abs().gte(1e15)) expect(result).toBe(exact.gt(0) ? Infinity : -Infinity)
        else expect(result).toBe(Number(floor.toFixed()) + 0)
      }),
      { numRuns: 5000 },
    )
  })
})

it('formats each value as one plain text', () => {
  expect(canonicalText(1250, 2)).toBe('12.5')
  expect(canonicalText(-300, 2)).toBe('-3')
  expect(canonicalText(0, 2)).toBe('0')
  expect(canonicalText(1000, 0)).toBe('1000')
  expect(canonicalText(5, 3)).toBe('0.005')
  expect(canonicalText(-9007199254740993000n, 3)).toBe('-9007199254740993')
})
