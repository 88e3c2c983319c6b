import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Dice, Zipf } from '#producer/random.ts'
import { check } from '#test/support/properties.ts'

const draws = (dice: Dice, count: number) => Array.from({ length: count }, () => dice.next())

it('draws the same numbers for an event regardless of earlier draws', () => {
  check(
    fc.property(fc.nat(), fc.maxSafeNat(), fc.maxSafeNat(), fc.nat(20), (seed, index, other, drawnBefore) => {
      const alone = draws(new Dice(seed, 0).seek(index), 5)
      const dice = new Dice(seed, 0)
      draws(dice.seek(other), drawnBefore)
      expect(draws(dice.seek(index), 5)).toEqual(alone)
    }),
  )
})

it('draws a separate sequence for each index, salt and seed', () => {
  const first = new Set<number>()
  for (let seed = 0; seed < 10; seed++)
    for (let salt = 0; salt < 2; salt++)
      for (let index = 0; index < 500; index++) first.add(new Dice(seed, salt).seek(index).next())
  // Among 10,000 draws of 32 bits, fewer than one equal pair is expected by chance.
  expect(first.size).toBeGreaterThan(9_995)
  expect(new Dice(1, 0).seek(1).next()).not.toBe(new Dice(1, 0).seek(1 + 2 ** 32).next())
})

it('spreads numbers evenly over indices', () => {
  const buckets = new Array<number>(10).fill(0)
  const dice = new Dice(7, 0)
  for (let index = 0; index < 100_000; index++) buckets[Math.floor(dice.seek(index).next() * 10)]!++
  // Standard deviation of a bucket: about 95.
  for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

it('draws Zipf rank r in proportion to 1 / (r + 1)^exponent, and only valid ranks', () => {
  check(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.double({ min: 0, max: 5, noNaN: true }), (n, exponent) => {
      const zipf = new Zipf(n, exponent)
      const weights = Array.from({ length: n }, (_, rank) => (rank + 1) ** -exponent)
      const sum = weights.reduce((a, b) => a + b)
      let below = 0
      weights.forEach((weight, rank) => {
        const middle = (below + weight / 2) / sum
        expect(zipf.rank(middle)).toBe(rank)
        below += weight
      })
      expect(zipf.rank(0)).toBe(0)
      expect(zipf.rank(1 - Number.EPSILON)).toBeLessThan(n)
    }),
  )
})
