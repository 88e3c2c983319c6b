import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Schedule } from '#producer/schedule.ts'
import { check } from '#test/support/properties.ts'

const rates = fc.double({ min: 0.1, max: 50_000, noNaN: true })
const bursts = fc.option(
  fc.record({
    every: fc.integer({ min: 1000, max: 60_000 }),
    lasting: fc.integer({ min: 10, max: 90_000 }),
    factor: fc.double({ min: 1, max: 1000, noNaN: true }),
  }),
  { nil: undefined },
)

it('schedules event i at start + i / rate', () => {
  const schedule = new Schedule(100)
  expect([0, 1, 2, 1000].map(i => schedule.timeOf(i))).toEqual([0, 10, 20, 10_000])
  expect(schedule.countBefore(0)).toBe(0)
  expect(schedule.countBefore(10_000)).toBe(1000)
  expect(schedule.countBefore(10_001)).toBe(1001)
})

it('multiplies the rate by a burst in the last part of each period', () => {
  // One event per 100 ms, and ten times as many from 800 to 1000 ms: 8 + 20 events per second.
  const schedule = new Schedule(10, { every: 1000, lasting: 200, factor: 10 })
  const counts = Array.from(
    { length: 20 },
    (_, i) => schedule.countBefore((i + 1) * 100) - schedule.countBefore(i * 100),
  )
  const period = [1, 1, 1, 1, 1, 1, 1, 1, 10, 10]
  expect(counts).toEqual([...period, ...period])
  expect(schedule.timeOf(8)).toBe(800)
  expect(schedule.timeOf(9)).toBe(810)
  expect(schedule.timeOf(28)).toBe(1000)
})

it('returns increasing times, and counts that agree with them', () => {
  check(
    fc.property(rates, bursts, fc.nat(1_000_000), (rate, burst, index) => {
      const schedule = new Schedule(rate, burst)
      const time = schedule.timeOf(index)
      expect(schedule.timeOf(index + 1)).toBeGreaterThan(time)
      // Larger than the rounding error of doubles.
      const margin = 1e-6 * Math.max(1, time)
      if (schedule.timeOf(index + 1) - time < 4 * margin) return
      expect(schedule.countBefore(time + margin)).toBe(index + 1)
      if (index > 0 && time - schedule.timeOf(index - 1) > 4 * margin)
        expect(schedule.countBefore(time - margin)).toBe(index)
    }),
  )
})

it('applies a new rate to later events and keeps the times of earlier ones', () => {
  check(
    fc.property(rates, rates, bursts, fc.integer({ min: 1, max: 100_000 }), (before, after, burst, time) => {
      const schedule = new Schedule(before, burst)
      const due = schedule.countBefore(time)
      const last = Math.max(0, due - 1)
      const lastTime = schedule.timeOf(last)
      schedule.setRate(after, time)
      expect(schedule.timeOf(last)).toBe(lastTime)
      expect(schedule.timeOf(due)).toBeCloseTo(time, 6)
      const period = burst?.every ?? 1000
      const perPeriod = new Schedule(after, burst).countBefore(period)
      expect(Math.abs(schedule.countBefore(time + period) - due - perPeriod)).toBeLessThanOrEqual(1)
    }),
  )
})

it('pauses at rate 0 and resumes with a later rate', () => {
  const schedule = new Schedule(100)
  schedule.setRate(0, 1000)
  expect(schedule.timeOf(99)).toBe(990)
  expect(schedule.timeOf(100)).toBe(Number.POSITIVE_INFINITY)
  expect(schedule.countBefore(9000)).toBe(100)
  schedule.setRate(10, 5000)
  expect([100, 101].map(i => schedule.timeOf(i))).toEqual([5000, 5100])
})
