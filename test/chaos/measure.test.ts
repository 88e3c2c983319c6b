/** Totals, pauses and delays of given readings, and properties that must hold for all readings. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  delayIn,
  delayOf,
  idleFor,
  peakLag,
  rateIn,
  standstill,
  steadyPartitions,
  type Tick,
  Totals,
  worstStandstill,
} from '#chaos/measure.ts'
import type { Reading } from '#chaos/scrape.ts'
import { check } from '#test/support/properties.ts'

const BOUNDS = [0.1, 1, 10, Infinity]
type Values = {
  pod: string
  startedAt?: number
  records?: [number, number][]
  lag?: [number, number][]
  delay?: number[]
}

function reading({ pod, startedAt = 0, records = [], lag = [], delay = [0, 0, 0, 0] }: Values): Reading {
  const buckets = (counts: number[]) => ({ bounds: BOUNDS, counts })
  const maps = { records: new Map(records), lag: new Map(lag) }
  return { pod, startedAt, topicPartitions: 2, pending: 0, ...maps, delay: buckets(delay), projection: buckets(delay) }
}

/** Returns ticks half a second apart, from the committed counts of partitions 0 and 1. */
const ticksOf = (counts: [number, number][], lags: (number | null)[] = []): Tick[] =>
  counts.map(([a, b], i) => ({
    at: i * 500,
    lag: lags[i] ?? null,
    pending: 0,
    records: { 0: a, 1: b },
    delay: [],
    projection: [],
    ready: 2,
  }))

describe('Totals', () => {
  const totalsOf = (...readings: Values[]) => {
    const totals = new Totals()
    totals.begin(readings.map(reading), 0)
    return totals
  }
  const records = (totals: Totals) => totals.tick(100, 1).records

  it('counts from the first reading of an initial worker, and from 0 for a later worker', () => {
    const totals = totalsOf({ pod: 'a', records: [[0, 1000]] })
    totals.add(reading({ pod: 'a', records: [[0, 1010]] }), 50)
    totals.add(reading({ pod: 'b', records: [[1, 7]] }), 60)
    expect(records(totals)).toEqual({ 0: 10, 1: 7 })
  })

  it('never subtracts when a worker is killed, and counts a restarted container as another process', () => {
    const totals = totalsOf({ pod: 'a', startedAt: 1, records: [[0, 500]] }, { pod: 'b' })
    totals.add(reading({ pod: 'a', startedAt: 1, records: [[0, 520]] }), 10)
    totals.add(reading({ pod: 'a', startedAt: 2, records: [[0, 3]] }), 20)
    totals.add(reading({ pod: 'b', records: [[0, 4]] }), 30)
    expect(records(totals)).toEqual({ 0: 27 })
  })

  it('sums histograms in the same way', () => {
    const totals = totalsOf({ pod: 'a', delay: [5, 6, 7, 7] })
    totals.add(reading({ pod: 'a', delay: [6, 8, 9, 9] }), 10)
    totals.add(reading({ pod: 'b', delay: [0, 0, 1, 2] }), 10)
    expect(totals.tick(20, 1).delay).toEqual([1, 2, 3, 4])
  })

  it('returns the lag only while every partition has a recent reading', () => {
    const totals = totalsOf({ pod: 'a', lag: [[0, 3]] }, { pod: 'b', lag: [[1, 4]] })
    expect(totals.tick(1000, 2).lag).toBe(7)
    totals.add(reading({ pod: 'a', lag: [[0, 5]] }), 2000)
    expect(totals.tick(2100, 1).lag).toBeNull()
    // During a handover two workers may report a partition: the greater lag counts.
    totals.add(
      reading({
        pod: 'c',
        lag: [
          [0, 1],
          [1, 9],
        ],
      }),
      2200,
    )
    expect(totals.tick(2300, 2).lag).toBe(14)
  })

  it('never decreases, in any order of readings from any workers', () => {
    const worker = fc.record({ pod: fc.constantFrom('a', 'b', 'c'), startedAt: fc.nat(2), more: fc.nat(50) })
    check(
      fc.property(fc.array(worker, { maxLength: 40 }), events => {
        const totals = totalsOf({ pod: 'a', records: [[0, 100]] })
        const counts = new Map([['a/0', 100]])
        let [before, all] = [0, 0]
        for (const { pod, startedAt, more } of events) {
          const key = `${pod}/${startedAt}`
          counts.set(key, (counts.get(key) ?? 0) + more)
          all += more
          totals.add(reading({ pod, startedAt, records: [[0, counts.get(key)!]] }), 10)
          const now = records(totals)[0]!
          expect(now).toBeGreaterThanOrEqual(before)
          before = now
        }
        expect(before).toBe(all)
      }),
    )
  })
})

describe('a standstill', () => {
  // at 0, 500, …: partition 0 pauses from 500 to 2500, partition 1 grows until 3000.
  const ticks = ticksOf([
    [0, 0],
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4],
    [2, 5],
    [3, 6],
    [3, 6],
    [3, 6],
  ])

  it('measures a standstill as the longest time without growth, in total and for the worst partition', () => {
    const window = { from: 500, to: 3000 }
    expect(standstill(ticks, window)).toBe(500)
    expect(worstStandstill(ticks, window)).toBe(2000)
  })

  it('begins with the last growth before the window, and lasts to its end without further growth', () => {
    expect(standstill(ticks, { from: 3200, to: 4000 })).toBe(1000)
    expect(worstStandstill(ticks, { from: 1500, to: 2500 })).toBe(2000)
  })

  it('identifies steady partitions and the idle time of a partition', () => {
    expect([...steadyPartitions(ticks, { from: 0, to: 3000 }, 1000).keys()]).toEqual([1])
    expect(idleFor(ticks, 1)).toBe(1000)
    expect(idleFor(ticks.slice(0, 5), 0)).toBe(1500)
    expect(idleFor(ticks.slice(0, 7), 0)).toBe(0)
  })

  it('limits a standstill to the window, and the total to that of the worst partition', () => {
    const steps = fc.array(fc.tuple(fc.nat(1), fc.nat(1)), { minLength: 2, maxLength: 40 })
    check(
      fc.property(steps, growth => {
        let sums: [number, number] = [0, 0]
        const some = ticksOf(growth.map(([a, b]) => (sums = [sums[0] + a, sums[1] + b])))
        const window = { from: 0, to: some.at(-1)!.at }
        expect(standstill(some, window)).toBeLessThanOrEqual(worstStandstill(some, window))
        expect(worstStandstill(some, window)).toBeLessThanOrEqual(window.to)
      }),
    )
  })
})

it('computes the peak of known lags and the rate of committed records', () => {
  const ticks = ticksOf(
    [
      [0, 0],
      [5, 5],
      [10, 10],
      [10, 10],
    ],
    [3, null, 90, 4],
  )
  expect(peakLag(ticks, { from: 0, to: 1500 })).toBe(90)
  expect(peakLag(ticks, { from: 500, to: 900 })).toBeNull()
  expect(rateIn(ticks, { from: 0, to: 1000 })).toBe(20)
})

describe('delays', () => {
  it('interpolates delays within a bucket, as Prometheus does', () => {
    // 50 up to 0.1, 49 up to 1, and 1 up to 10.
    const delay = delayOf(BOUNDS, [50, 99, 100, 100])!
    expect(delay.p50).toBeCloseTo(0.1)
    expect(delay.p99).toBeCloseTo(1)
    expect(delay).toMatchObject({ max: 10, samples: 100 })
    expect(delayOf(BOUNDS, [0, 0, 10, 10])!.p50).toBeCloseTo(5.5)
  })

  it('never exceed their bucket by rounding', () => {
    expect(delayOf([0.1, 1, 10, Infinity], [3, 6, 6, 6])!.p50).toBe(0.1)
  })

  it('quantiles beyond the last bound have no number, and there are none without samples', () => {
    expect(delayOf(BOUNDS, [0, 0, 0, 3])).toEqual({ p50: Infinity, p99: Infinity, max: Infinity, samples: 3 })
    expect(delayOf(BOUNDS, [0, 0, 0, 0])).toBeNull()
  })

  it('of a window include only what was committed in it', () => {
    const at = (ms: number, delay: number[]): Tick => ({ ...ticksOf([[0, 0]])[0]!, at: ms, delay })
    const ticks = [at(0, [9, 9, 9, 9]), at(500, [19, 19, 19, 19]), at(1000, [19, 19, 29, 29])]
    expect(delayIn(ticks, BOUNDS, { from: 600, to: 1000 })).toMatchObject({ max: 10, samples: 10 })
    expect(delayIn(ticks, BOUNDS, { from: 0, to: 500 })).toMatchObject({ max: 0.1, samples: 10 })
  })

  it('lie in the bucket of the event with that rank', () => {
    const delays = fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 200 })
    check(
      fc.property(delays, seconds => {
        const sorted = [...seconds].sort((a, b) => a - b)
        const delay = delayOf(
          BOUNDS,
          BOUNDS.map(bound => sorted.filter(s => s <= bound).length),
        )!
        for (const [q, value] of [
          [0.5, delay.p50],
          [0.99, delay.p99],
        ] as const) {
          const exact = sorted[Math.ceil(q * sorted.length) - 1]!
          const bucket = BOUNDS.findIndex(bound => exact <= bound)
          expect(value).toBeGreaterThanOrEqual(BOUNDS[bucket - 1] ?? 0)
          expect(value).toBeLessThanOrEqual(BOUNDS[bucket]!)
        }
        expect(delay.samples).toBe(seconds.length)
        expect(delay.max).toBeGreaterThanOrEqual(sorted.at(-1)!)
      }),
    )
  })
})
