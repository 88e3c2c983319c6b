import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { Clock, Store, Telemetry } from '#processor/ports.ts'
import { Upkeep, type UpkeepDeps } from '#processor/upkeep.ts'
import { pipelineOf } from '#test/processor/store/fixture.ts'

/** Runs the upkeep for `seconds` of a clock that moves once everything sleeps. Returns the reports of ReadersNotGranted by second. */
async function reportsOf(seconds: number, grantReaders: Store['grantReaders']): Promise<[number, string | null][]> {
  const reports: [number, string | null][] = []
  let now = 0
  const sleepers: (() => void)[] = []
  const clock: Clock = { now: () => now, sleep: () => new Promise(resolve => sleepers.push(resolve)) }
  const end = new AbortController()
  const store = { advance: async () => null, deadLetterBytes: async () => 0, grantReaders } as unknown as Store
  const telemetry = {
    log() {},
    committable() {},
    condition(code: string, message: string | null) {
      if (code === 'ReadersNotGranted') reports.push([now / 1000, message])
    },
  } as unknown as Telemetry
  const deps = { compiled: compileSpec(pipelineOf().spec), store, clock, telemetry, partitions: () => [] }
  const bounds = { paused: false, observe: () => null }
  const upkeep = new Upkeep({ ...deps, bounds, input: { report() {} } } as unknown as UpkeepDeps)
  const running = upkeep.run(end.signal)
  for (; now <= seconds * 1000; now += 1000) {
    await setImmediate() // until every loop sleeps
    for (const wake of sleepers.splice(0)) wake()
  }
  end.abort()
  for (const wake of sleepers.splice(0)) wake()
  await running
  return reports
}

it('grants access at the start, reports what is missing, and reports once it is there', async () => {
  const answers = ['role "grafana" does not exist', null]
  const reports = await reportsOf(200, async () => answers.shift() ?? null)
  expect(reports.slice(0, 2).map(([, message]) => message)).toEqual(['role "grafana" does not exist', null])
  expect(reports[0]![0]).toBe(0)
  expect(reports[1]![0] - reports[0]![0]).toBeGreaterThanOrEqual(30)
})

it('keeps running, and keeps the last report, while PostgreSQL does not respond', async () => {
  let calls = 0
  const reports = await reportsOf(200, async () => {
    if (++calls === 2) throw new Retryable('PostgreSQL does not respond')
    return 'role "grafana" does not exist'
  })
  expect(calls).toBeGreaterThan(2)
  expect(reports.every(([, message]) => message === 'role "grafana" does not exist')).toBe(true)
})
