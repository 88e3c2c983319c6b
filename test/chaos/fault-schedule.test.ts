import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chosen, KINDS, scheduleRound } from '#chaos/fault-schedule.ts'
import { check } from '#test/support/properties.ts'

const kinds = fc.uniqueArray(fc.constantFrom(...KINDS), { minLength: 1 })
const seeds = fc.nat(1_000_000)

describe('the fault schedule of a round', () => {
  it('contains each kind once, and a node only in the first round', () => {
    check(
      fc.property(seeds, fc.integer({ min: 1, max: 20 }), kinds, (seed, round, chosenKinds) => {
        const steps = scheduleRound(seed, round, chosenKinds)
        const expected = chosenKinds.filter(kind => kind !== 'node' || round === 1)
        expect(steps.map(({ kind }) => kind).sort()).toEqual([...expected].sort())
        for (const { pick } of steps) expect(pick >= 0 && pick < 1).toBe(true)
      }),
    )
  })

  it('plans the same faults for the same seed, in any order of the kinds', () => {
    check(
      fc.property(seeds, kinds, (seed, chosenKinds) => {
        expect(scheduleRound(seed, 2, [...chosenKinds].reverse())).toEqual(scheduleRound(seed, 2, chosenKinds))
      }),
    )
  })

  it('differs between seeds and rounds, so that every kind comes first in some of them', () => {
    const first = (seed: number, round: number) => scheduleRound(seed, round, KINDS)[0]!.kind
    const seen = (many: string[]) => new Set(many).size
    expect(seen(Array.from({ length: 60 }, (_, seed) => first(seed, 1)))).toBe(KINDS.length)
    expect(seen(Array.from({ length: 60 }, (_, round) => first(1, round + 1)))).toBeGreaterThanOrEqual(KINDS.length - 1)
  })
})

describe('chosen', () => {
  const named = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1 }).map(all => all.map(name => ({ name })))

  it('returns an existing element, the same in any order of the list', () => {
    check(
      fc.property(named, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (pods, pick) => {
        expect(pods).toContainEqual(chosen(pods, pick))
        expect(chosen([...pods].reverse(), pick)).toEqual(chosen(pods, pick))
      }),
    )
  })

  it('chooses any element of a list, and undefined from an empty list', () => {
    const pods = ['c', 'a', 'b'].map(name => ({ name }))
    expect([0, 0.34, 0.99].map(pick => chosen(pods, pick)!.name)).toEqual(['a', 'b', 'c'])
    expect(chosen([], 0.5)).toBeUndefined()
  })
})
