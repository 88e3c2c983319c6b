import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Load } from '#pipeline/schema.ts'
import { type GeneratedEvent, Generator } from '#producer/generator.ts'
import { Schedule } from '#producer/schedule.ts'
import { check } from '#test/support/properties.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const none = { fraction: 0 }
const CALM: Load = {
  onCluster: false,
  rate: 1000,
  profile: 'ecommerce',
  seed: 1,
  speed: 1,
  keys: 100,
  keySkew: 0,
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

/** Generates every event due before `time`, in steps. */
function generate(load: Load, time: number, step = time): GeneratedEvent[] {
  const generator = generatorOf(load)
  const events: GeneratedEvent[] = []
  for (let now = 0; now < time; now += step)
    for (
      let next = generator.next(Math.min(now + step, time));
      next !== null;
      next = generator.next(Math.min(now + step, time))
    )
      events.push(next)
  return events
}

const eventTimeOf = (event: GeneratedEvent) => Date.parse(JSON.parse(event.value!.toString()).timestamp)

it('spaces sales evenly, each with its time of sending as event time and its own id', () => {
  const events = generate(CALM, 2000)
  expect(events.length).toBe(2000)
  events.forEach(({ kind, due, key, value }, i) => {
    expect(kind).toBe('normal')
    expect(due).toBe(i)
    expect(eventTimeOf(events[i]!)).toBe(START + i)
    expect(JSON.parse(value!.toString()).transaction_id).toBe(key.toString())
  })
  expect(new Set(events.map(({ key }) => key.toString())).size).toBe(2000)
})

it('stretches only event time by the speed', () => {
  const events = generate({ ...CALM, speed: 60 }, 1000)
  expect(events.map(({ due }) => due)).toEqual(generate(CALM, 1000).map(({ due }) => due))
  expect(eventTimeOf(events[999]!)).toBe(START + 999 * 60)
})

it('generates the same events for any length of ticks', () => {
  const whole = generate(BAD_DAY, 3000)
  expect(whole.length).toBeGreaterThan(3000)
  check(
    fc.property(fc.double({ min: 0.5, max: 500, noNaN: true }), step => {
      expect(generate(BAD_DAY, 3000, step)).toEqual(whole)
    }),
    { numRuns: 20 },
  )
})

it('repeats the events of a seed and varies them between seeds', () => {
  expect(generate(BAD_DAY, 500)).toEqual(generate(BAD_DAY, 500))
  expect(generate({ ...BAD_DAY, seed: 2 }, 500)).not.toEqual(generate(BAD_DAY, 500))
})

it('applies mishaps in their fractions', () => {
  const events = generate(BAD_DAY, 20_000)
  const share = (kind: GeneratedEvent['kind']) => events.filter(event => event.kind === kind).length / 20_000
  expect(share('disorder')).toBeCloseTo(0.2, 1)
  expect(share('late')).toBeCloseTo(0.05, 2)
  expect(share('malformed')).toBeCloseTo(0.02, 2)
  expect(share('duplicate')).toBeCloseTo(0.1, 1)
  for (const event of events) {
    if (event.kind === 'malformed' || event.kind === 'duplicate') continue
    const back = START + event.due - eventTimeOf(event)
    if (event.kind === 'normal') expect(back).toBe(0)
    if (event.kind === 'late') expect(back).toBe(600_000)
    if (event.kind === 'disorder') expect(back >= 0 && back <= 5000).toBe(true)
  }
  expect(
    events.filter(event => event.kind === 'disorder').some(event => START + event.due - eventTimeOf(event) > 4500),
  ).toBe(true)
})

it('duplicates the bytes and the key of the original within the configured time', () => {
  const events = generate(BAD_DAY, 10_000)
  const originals = new Map(
    events.filter(event => event.kind !== 'duplicate').map(event => [event.key.toString(), event]),
  )
  const duplicates = events.filter(event => event.kind === 'duplicate')
  expect(duplicates.length).toBeGreaterThan(500)
  for (const duplicate of duplicates) {
    const original = originals.get(duplicate.key.toString())!
    expect(duplicate.value).toEqual(original.value)
    expect(duplicate.due - original.due).toBeGreaterThanOrEqual(0)
    expect(duplicate.due - original.due).toBeLessThanOrEqual(3000)
  }
})

it('generates events in the order in which they are due', () => {
  const dues = generate(BAD_DAY, 5000).map(({ due }) => due)
  expect(dues).toEqual([...dues].sort((a, b) => a - b))
})

it('returns the remaining duplicates after the last sale', () => {
  const generator = generatorOf(BAD_DAY)
  while (generator.sales < 1000) generator.next(Number.POSITIVE_INFINITY)
  expect(generator.hasDuplicates).toBe(true)
  const left: GeneratedEvent[] = []
  for (let next = generator.nextDuplicate(); next !== null; next = generator.nextDuplicate()) left.push(next)
  expect(left.length).toBeGreaterThan(50)
  expect(left.every(({ kind }) => kind === 'duplicate')).toBe(true)
  expect(generator.hasDuplicates).toBe(false)
})

it('gives the first store the most sales with skewed keys, and uses all keys without skew', () => {
  const storesOf = (load: Load) =>
    generate(load, 5000).map(({ value }) => JSON.parse(value!.toString()).store_id as string)
  expect(new Set(storesOf(CALM)).size).toBe(100)
  const skewed = storesOf({ ...CALM, keySkew: 1.5 })
  const first = skewed.filter(store => store === 'store-0').length / skewed.length
  // 1 / (1 + 2^-1.5 + … + 100^-1.5) = 0.414
  expect(first).toBeGreaterThan(0.36)
  expect(first).toBeLessThan(0.47)
})
