import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backOff } from '#pipeline/backoff.ts'
import { check } from '#test/support/properties.ts'

const times = { baseMs: 200, capMs: 5000 }

describe('backOff', () => {
  it('doubles the pause from the base to the cap when it is not randomised', () => {
    const pauses = [0, 1, 2, 3, 4, 5, 6].map(attempt => backOff({ attempt, ...times }))
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it('spreads random pauses evenly between half of the longest pause and all of it', () => {
    const at = (next: number) => backOff({ attempt: 2, ...times }, { next: () => next })
    expect([at(0), at(0.25), at(0.5), at(1)]).toEqual([400, 500, 600, 800])
  })

  it('returns a finite pause within its bounds after any number of failures', () => {
    const attempts = fc.integer({ min: 0, max: 1_000_000 })
    const bounds = fc.record({ baseMs: fc.nat(10_000), capMs: fc.nat(1_000_000) })
    check(
      fc.property(attempts, bounds, fc.double({ min: 0, max: 1, noNaN: true }), (attempt, bounds, next) => {
        const longest = backOff({ attempt, ...bounds })
        const pause = backOff({ attempt, ...bounds }, { next: () => next })
        expect(longest).toBeLessThanOrEqual(bounds.capMs)
        expect(longest).toBeGreaterThanOrEqual(Math.min(bounds.baseMs, bounds.capMs))
        expect(pause).toBeGreaterThanOrEqual(longest / 2)
        expect(pause).toBeLessThanOrEqual(longest)
      }),
    )
  })
})
