/** The event time that several sources have reached (section 5). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SourceTimes } from '#processor/core/sources.ts'
import { check } from '#test/support/properties.ts'

const sightings = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', null), fc.integer({ min: 0, max: 30 })), {
  maxLength: 60,
})

/** All greatest event times, sorted. */
function expected(seen: [string | null, number][], atLeast: number): number {
  const latest = new Map<string, number>()
  for (const [source, time] of seen) if (source !== null) latest.set(source, Math.max(time, latest.get(source) ?? time))
  return [...latest.values()].sort((a, b) => b - a)[atLeast - 1] ?? Number.NEGATIVE_INFINITY
}

describe('the event time that several sources have reached', () => {
  it('computes the agreed event time as the atLeast-th greatest of the sources, after any number of restarts', () => {
    check(
      fc.property(
        sightings,
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 9 }),
        (seen, atLeast, restarts) => {
          const setting = { field: 'store', atLeast }
          let times = new SourceTimes(setting, null, 0)
          seen.forEach(([source, time], i) => {
            if (i % restarts === 0) times = new SourceTimes(setting, times.stored(i), i)
            times.see(source, time)
            expect(times.agreed).toBe(expected(seen.slice(0, i + 1), atLeast))
          })
        },
      ),
      { numRuns: 400 },
    )
  })

  it('forgets the agreed event time with another setting, and when a release that does not store it has counted records', () => {
    const setting = { field: 'store', atLeast: 2 }
    const times = new SourceTimes(setting, null, 0)
    times.see('a', 10)
    times.see('b', 12)
    const agreedAfter = (changes: object, offset = 7) =>
      new SourceTimes({ ...setting, ...changes }, times.stored(7), offset).agreed
    expect([agreedAfter({}), agreedAfter({ field: 'city' }), agreedAfter({ atLeast: 3 }), agreedAfter({}, 8)]).toEqual([
      10,
      ...Array(3).fill(Number.NEGATIVE_INFINITY),
    ])
  })

  it('ignores a source whose name is too long to be stored', () => {
    const times = new SourceTimes({ field: 'store', atLeast: 2 }, null, 0)
    for (const source of ['a', 'b'.repeat(129)]) times.see(source, 10)
    expect(times.agreed).toBe(Number.NEGATIVE_INFINITY)
    times.see('b'.repeat(128), 9)
    expect(times.agreed).toBe(9)
    expect(times.stored(0).length).toBeLessThan(300)
  })
})
