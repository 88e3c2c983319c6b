import fc from 'fast-check'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { DELAY_BOUNDS_MS, DelayHistogram } from '#processor/adapters/telemetry/delay-histogram.ts'
import { RecentDelays } from '#processor/adapters/telemetry/recent-delays.ts'
import { check } from '#test/support/properties.ts'
import { commitOf, infoOf, NOW, partitionCommit, projectedRow, scrape, telemetryForTest, workOf } from './fixture.ts'

/** Delays at, just beside and between the bounds, negative ones, and records without a timestamp. */
const delay = fc.oneof(
  fc.constantFrom(...DELAY_BOUNDS_MS.flatMap(b => [b - 1, b, b + 1])),
  fc.double({ min: -100, max: 100_000, noNaN: true }).map(ms => NOW - (NOW - ms)),
  fc.constant(Number.NaN),
)

it('counts buckets, sum and count like a naive computation, over any calls', async () => {
  await check(
    fc.asyncProperty(fc.array(fc.array(delay, { maxLength: 50 }), { maxLength: 5 }), async calls => {
      const registry = new Registry()
      const histogram = new DelayHistogram(registry, 'delay_seconds', 'help')
      for (const delays of calls)
        histogram.observe(
          Float64Array.from(delays, ms => NOW - ms),
          NOW,
        )

      const measured = calls
        .flat()
        .filter(ms => !Number.isNaN(ms))
        .map(ms => Math.max(0, ms))
      const lines = (await registry.metrics()).trim().split('\n')
      const values = new Map(lines.slice(2).map(line => line.split(' ') as [string, string]))
      for (const bound of DELAY_BOUNDS_MS)
        expect(Number(values.get(`delay_seconds_bucket{le="${bound / 1000}"}`))).toBe(
          measured.filter(ms => ms <= bound).length,
        )
      expect(Number(values.get('delay_seconds_bucket{le="+Inf"}'))).toBe(measured.length)
      expect(Number(values.get('delay_seconds_count'))).toBe(measured.length)
      expect(Number(values.get('delay_seconds_sum'))).toBeCloseTo(measured.reduce((a, b) => a + b, 0) / 1000, 6)
      expect(values.size).toBe(DELAY_BOUNDS_MS.length + 3)
      expect(lines.slice(0, 2)).toEqual(['# HELP delay_seconds help', '# TYPE delay_seconds histogram'])
    }),
  )
})

it('measures the delays of a commit’s records and a projection’s rows, and the duration of both', async () => {
  const { telemetry } = telemetryForTest()
  telemetry.committed(commitOf(partitionCommit(0)), infoOf([NOW - 40, NOW - 400, Number.NaN]))
  telemetry.projected(workOf(projectedRow(0, NOW - 7000)), 0, { startedAt: NOW - 600, endedAt: NOW })
  const series = await scrape(telemetry.registry)
  const bucket = (name: string, le: string) => series.get(`salespipeline_${name}_seconds_bucket{le="${le}"}`)
  expect([
    bucket('end_to_end_delay', '0.025'),
    bucket('end_to_end_delay', '0.05'),
    bucket('end_to_end_delay', '0.5'),
  ]).toEqual([0, 1, 2])
  expect(series.get('salespipeline_end_to_end_delay_seconds_count')).toBe(2)
  expect([bucket('projection_delay', '5'), bucket('projection_delay', '10')]).toEqual([0, 1])
  expect([bucket('commit_duration', '0.02'), bucket('commit_duration', '0.05')]).toEqual([0, 1])
  expect([bucket('projection_duration', '0.5'), bucket('projection_duration', '1')]).toEqual([0, 1])
})

it('returns exact recent percentiles of a small batch, and forgets samples older than 10 s', () => {
  const recent = new RecentDelays()
  expect(recent.percentiles(NOW)).toBeNull()
  recent.add(
    Float64Array.from({ length: 100 }, (_, i) => NOW - i - 1),
    NOW,
  )
  recent.add(Float64Array.of(Number.NaN), NOW)
  expect(recent.percentiles(NOW + 9_999)).toEqual({ p50: 0.05, p99: 0.099, samples: 100 })
  expect(recent.percentiles(NOW + 10_000)).toBeNull()
})

it('weights a commit’s samples by its number of records', () => {
  const recent = new RecentDelays()
  recent.add(new Float64Array(200_000).fill(NOW - 100), NOW)
  recent.add(new Float64Array(1000).fill(NOW - 5000), NOW)
  expect(recent.percentiles(NOW)).toEqual({ p50: 0.1, p99: 0.1, samples: 201_000 })
})

it('overwrites the oldest samples once the ring is full', () => {
  const recent = new RecentDelays()
  for (let commit = 0; commit < 200; commit++) recent.add(new Float64Array(128).fill(NOW - commit), NOW)
  const { p50, samples } = recent.percentiles(NOW)!
  expect({ p50, samples }).toEqual({ p50: 0.135, samples: 16_384 })
})
