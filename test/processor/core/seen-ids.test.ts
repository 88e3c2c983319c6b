import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeenIds } from '#processor/core/seen-ids.ts'
import { check } from '#test/support/properties.ts'

const hash = (id: number) => Int32Array.of(id % 7, id, id * 31, -id) // few distinct first words: long probe chains

/** The rules of the contract, section 6, in the simplest code. */
class NaiveSeen {
  readonly sightings: { id: number; offset: number; maxTime: number }[] = []
  readonly horizon: number
  readonly maxIds: number
  constructor(horizon: number, maxIds: number) {
    this.horizon = horizon
    this.maxIds = maxIds
  }
  sight(id: number, offset: number, maxTime: number): boolean {
    const last = new Map<number, { offset: number; maxTime: number }>()
    for (const s of this.sightings) {
      last.delete(s.id)
      last.set(s.id, s)
    }
    const remembered = [...last].filter(([, s]) => maxTime - s.maxTime <= this.horizon).slice(-this.maxIds)
    this.sightings.push({ id, offset, maxTime })
    return remembered.some(([known]) => known === id)
  }
}

const steps = fc.array(fc.record({ id: fc.integer({ min: 0, max: 40 }), later: fc.integer({ min: 0, max: 6 }) }), {
  maxLength: 120,
  size: 'max',
})

describe('ids seen by a partition', () => {
  it('remembers ids by horizon and by count of distinct ids, as the contract says', () => {
    let duplicates = 0
    let forgotten = 0
    check(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 30 }),
        (records, horizon, maxIds) => {
          const seen = new SeenIds()
          const naive = new NaiveSeen(horizon, maxIds)
          let time = 0
          records.forEach(({ id, later }, offset) => {
            time += later
            seen.forget(time, horizon)
            const duplicate = seen.sight(hash(id), offset, time, maxIds)
            expect(duplicate).toBe(naive.sight(id, offset, time))
            if (duplicate) duplicates++
          })
          forgotten += seen.forgottenEarly
          expect(seen.size).toBeLessThanOrEqual(maxIds)
        },
      ),
      { numRuns: 300 },
    )
    expect(duplicates).toBeGreaterThan(100)
    expect(forgotten).toBeGreaterThan(100)
  })

  it('rebuilds the same ids by reading again from the oldest sighting', () => {
    check(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 119 }),
        (records, horizon, maxIds, cut) => {
          const log = records.map(({ id }, offset) => ({
            id,
            offset,
            maxTime: records.slice(0, offset + 1).reduce((t, r) => t + r.later, 0),
          }))
          const play = (seen: SeenIds, part: typeof log) =>
            part.map(r => {
              seen.forget(r.maxTime, horizon)
              return seen.sight(hash(r.id), r.offset, r.maxTime, maxIds)
            })
          const straight = new SeenIds()
          play(straight, log.slice(0, cut))
          const restoreFrom = straight.oldest()?.offset ?? cut
          const restored = new SeenIds()
          play(restored, log.slice(restoreFrom, cut))
          expect(play(restored, log.slice(cut))).toEqual(play(straight, log.slice(cut)))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('applies the limit of each record only when it reads that record', () => {
    const seen = new SeenIds()
    const sight = (id: number, offset: number, maxIds: number) => seen.sight(hash(id), offset, offset, maxIds)
    for (const id of [1, 2, 3, 4]) sight(id, id, 10)
    expect(seen.oldest()).toMatchObject({ offset: 1 }) // a lower limit without a record forgets nothing
    expect(sight(1, 5, 10)).toBe(true)
    expect(sight(2, 6, 2)).toBe(false) // only 4 and 1 are left when it is judged
    expect(seen.oldest()).toMatchObject({ offset: 5 })
    expect(sight(4, 7, 10)).toBe(false) // what was forgotten stays forgotten
    expect(seen.forgottenEarly).toBe(3)
  })

  it('grows past its first capacity and shrinks again without losing an id', () => {
    const seen = new SeenIds()
    for (let i = 0; i < 50_000; i++)
      expect(seen.sight(Int32Array.of(i * 2654435761, i, 1, 2), i, i, 1_000_000)).toBe(false)
    for (let i = 0; i < 50_000; i++)
      expect(seen.sight(Int32Array.of(i * 2654435761, i, 1, 2), 50_000 + i, 50_000, 1_000_000)).toBe(true)
    expect(seen.size).toBe(50_000)
    seen.forget(200_000, 100)
    expect(seen.size).toBe(0)
    expect(seen.oldest()).toBeNull()
  })
})
