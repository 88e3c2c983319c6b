import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Load } from '#pipeline/schema.ts'
import { Generator, type Made } from '#producer/generator.ts'
import { Schedule } from '#producer/schedule.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const none = { fraction: 0 }
const CALM: Load = {
  ...{ onCluster: false, rate: 1000, profile: 'ecommerce', seed: 1, speed: 1, keys: 100, keySkew: 0 },
  disorder: { ...none, max: 5000 },
  lateness: { ...none, by: 600_000 },
  duplicates: { ...none, within: 5000 },
  malformed: none,
}
const BAD_DAY: Load = {
  ...CALM,
  disorder: { fraction: 0.2, max: 5000 },
  lateness: { fraction: 0.05, by: 600_000 },
  duplicates: { fraction: 0.1, within: 3000 },
  malformed: { fraction: 0.02 },
}

const generatorOf = (load: Load) => new Generator(load, new Schedule(load.rate, load.bursts), START)

/** Everything that is due before `time`, asked for in steps. */
function make(load: Load, time: number, step = time): Made[] {
  const generator = generatorOf(load)
  const made: Made[] = []
  for (let now = 0; now < time; now += step)
    for (
      let next = generator.next(Math.min(now + step, time));
      next !== null;
      next = generator.next(Math.min(now + step, time))
    )
      made.push(next)
  return made
}

const eventTimeOf = (made: Made) => Date.parse(JSON.parse(made.value!.toString()).timestamp)

test('a calm run: evenly spaced, event time is the time of sending, every id once', () => {
  const made = make(CALM, 2000)
  expect(made.length).toBe(2000)
  made.forEach(({ kind, due, key, value }, i) => {
    expect(kind).toBe('normal')
    expect(due).toBe(i)
    expect(eventTimeOf(made[i]!)).toBe(START + i)
    expect(JSON.parse(value!.toString()).transaction_id).toBe(key.toString())
  })
  expect(new Set(made.map(({ key }) => key.toString())).size).toBe(2000)
})

test('speed stretches event time alone', () => {
  const made = make({ ...CALM, speed: 60 }, 1000)
  expect(made.map(({ due }) => due)).toEqual(make(CALM, 1000).map(({ due }) => due))
  expect(eventTimeOf(made[999]!)).toBe(START + 999 * 60)
})

test('how the time is cut into ticks changes nothing', () => {
  const whole = make(BAD_DAY, 3000)
  expect(whole.length).toBeGreaterThan(3000)
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 500, noNaN: true }), step => {
      expect(make(BAD_DAY, 3000, step)).toEqual(whole)
    }),
    { numRuns: 20 },
  )
})

test('seeds differ, the same seed does not', () => {
  expect(make(BAD_DAY, 500)).toEqual(make(BAD_DAY, 500))
  expect(make({ ...BAD_DAY, seed: 2 }, 500)).not.toEqual(make(BAD_DAY, 500))
})

test('mishaps come in their fractions and do what they say', () => {
  const made = make(BAD_DAY, 20_000)
  const share = (kind: Made['kind']) => made.filter(one => one.kind === kind).length / 20_000
  expect(share('disorder')).toBeCloseTo(0.2, 1)
  expect(share('late')).toBeCloseTo(0.05, 2)
  expect(share('malformed')).toBeCloseTo(0.02, 2)
  expect(share('duplicate')).toBeCloseTo(0.1, 1)
  for (const one of made) {
    if (one.kind === 'malformed' || one.kind === 'duplicate') continue
    const back = START + one.due - eventTimeOf(one)
    if (one.kind === 'normal') expect(back).toBe(0)
    if (one.kind === 'late') expect(back).toBe(600_000)
    if (one.kind === 'disorder') expect(back >= 0 && back <= 5000).toBe(true)
  }
  expect(made.filter(one => one.kind === 'disorder').some(one => START + one.due - eventTimeOf(one) > 4500)).toBe(true)
})

test('a duplicate has the bytes and the key of its original, and follows within the time that is set', () => {
  const made = make(BAD_DAY, 10_000)
  const originals = new Map(made.filter(one => one.kind !== 'duplicate').map(one => [one.key.toString(), one]))
  const duplicates = made.filter(one => one.kind === 'duplicate')
  expect(duplicates.length).toBeGreaterThan(500)
  for (const duplicate of duplicates) {
    const original = originals.get(duplicate.key.toString())!
    expect(duplicate.value).toEqual(original.value)
    expect(duplicate.due - original.due).toBeGreaterThanOrEqual(0)
    expect(duplicate.due - original.due).toBeLessThanOrEqual(3000)
  }
})

test('what is made comes in the order in which it is due', () => {
  const dues = make(BAD_DAY, 5000).map(({ due }) => due)
  expect(dues).toEqual([...dues].sort((a, b) => a - b))
})

test('the duplicates that are left when the sales end', () => {
  const generator = generatorOf(BAD_DAY)
  while (generator.sales < 1000) generator.next(Number.POSITIVE_INFINITY)
  expect(generator.owesDuplicates).toBe(true)
  const left: Made[] = []
  for (let next = generator.nextDuplicate(); next !== null; next = generator.nextDuplicate()) left.push(next)
  expect(left.length).toBeGreaterThan(50)
  expect(left.every(({ kind }) => kind === 'duplicate')).toBe(true)
  expect(generator.owesDuplicates).toBe(false)
})

test('skewed keys: the first store sells the most, and all are used when they are not skewed', () => {
  const storesOf = (load: Load) => make(load, 5000).map(({ value }) => JSON.parse(value!.toString()).store_id as string)
  expect(new Set(storesOf(CALM)).size).toBe(100)
  const skewed = storesOf({ ...CALM, keySkew: 1.5 })
  const first = skewed.filter(store => store === 'store-0').length / skewed.length
  // 1 / (1 + 2^-1.5 + … + 100^-1.5) = 0.414
  expect(first).toBeGreaterThan(0.36)
  expect(first).toBeLessThan(0.47)
})
