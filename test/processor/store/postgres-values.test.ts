import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { timestampText } from '#processor/adapters/postgres/values.ts'
import { decimalText } from '#processor/core/exact.ts'
import { check } from '#test/support/properties.ts'
import { TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'

let harness: PostgresHarness
beforeAll(async () => {
  harness = await freshPostgres()
  await harness.worker().open(TOPIC)
})
afterAll(() => harness.close())

describe('timestampText', () => {
  it('keeps times to the millisecond, from before year 1 to after year 9999', async () => {
    const edges = [
      0,
      -1,
      1,
      Date.UTC(9999, 11, 31, 23, 59, 59, 999),
      Date.UTC(10_000, 0, 1),
      Date.parse('0000-12-31T23:59:59.999Z'),
      Date.parse('0001-01-01T00:00:00Z'),
      Date.UTC(-4712, 0, 1),
    ]
    await check(
      fc.asyncProperty(
        fc.array(fc.integer({ min: Date.UTC(-4000, 0, 1), max: Date.UTC(200_000, 0, 1) }), {
          minLength: 200,
          maxLength: 500,
        }),
        async random => {
          const all = [...edges, ...random]
          const [row] = await harness.query<{ ms: number[] }>(
            'SELECT array(SELECT (extract(epoch FROM t) * 1000)::float8 FROM unnest($1::timestamptz[]) WITH ORDINALITY u (t, i) ORDER BY i) AS ms',
            [all.map(timestampText)],
          )
          expect(row!.ms).toEqual(all)
        },
      ),
      { numRuns: 10 },
    )
  })

  it('makes times infinite beyond the range of either calendar', () => {
    expect([-(2 ** 63), 2 ** 63, -Infinity, Infinity].map(timestampText)).toEqual([
      '-infinity',
      'infinity',
      '-infinity',
      'infinity',
    ])
  })
})

describe('divide_half_even', () => {
  /** Returns the nearest integer, and the even one of two that are equally near. */
  function nearestEven(numerator: bigint, denominator: bigint): bigint {
    const floor = numerator / denominator - (numerator % denominator < 0n ? 1n : 0n)
    const twice = 2n * (numerator - floor * denominator)
    if (twice !== denominator) return twice < denominator ? floor : floor + 1n
    return floor % 2n === 0n ? floor : floor + 1n
  }

  it('divides exactly for any sum, count and scale', async () => {
    const sum = fc.oneof(fc.bigInt({ min: -(10n ** 36n), max: 10n ** 36n }), fc.bigInt({ min: -50n, max: 50n }))
    const count = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 2_000_000_000 }))
    let ties = 0
    await check(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 12 }),
        fc.array(fc.tuple(sum, count), { minLength: 300, maxLength: 300 }),
        async (scale, pairs) => {
          const rows = await harness.query<{ average: string }>(
            `SELECT @divide_half_even(s, c, ${10n ** BigInt(scale)}, ${decimalText(1, scale)})::text AS average
           FROM unnest($1::numeric[], $2::bigint[]) WITH ORDINALITY u (s, c, i) ORDER BY i`,
            [pairs.map(([s]) => decimalText(s, scale)), pairs.map(([, c]) => c)],
          )
          ties += pairs.filter(([s, c]) => (2n * s) % BigInt(c) === 0n && s % BigInt(c) !== 0n).length
          expect(rows.map(row => row.average)).toEqual(
            pairs.map(([s, c]) => decimalText(nearestEven(s, BigInt(c)), scale)),
          )
        },
      ),
      { numRuns: 20 },
    )
    expect(ties).toBeGreaterThan(50)
  })

  it('inlines divide_half_even, because a call per row would dominate the run time', async () => {
    const compiled = await harness.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (VERBOSE, COSTS OFF) SELECT @divide_half_even(s, 2, 100, 0.01) FROM unnest(ARRAY[1.5]) AS s`,
    )
    expect(compiled.map(row => row['QUERY PLAN']).join()).toMatch(/div\(/)
  })
})
