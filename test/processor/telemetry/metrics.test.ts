import { totalmem } from 'node:os'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { DeadLetter } from '#processor/core/commit.ts'
import {
  commitOf,
  infoOf,
  lateness,
  moved,
  NOW,
  partitionCommit,
  projectedRow,
  scrape,
  telemetryForTest,
  workOf,
} from './fixture.ts'

function dead(reason: DeadLetter['reason']): DeadLetter {
  const payload = { payload: null, payloadBytes: 0, payloadSha256: null, detail: null, countedLines: 0 }
  return { partition: 0, offset: 1, reason, field: null, recordTimestamp: 0, key: null, headers: [], ...payload }
}

it('increments each counter by exactly the counts of a commit, and changes nothing else', async () => {
  const { telemetry } = telemetryForTest()
  const commit = {
    ...commitOf(partitionCommit(0), partitionCommit(3)),
    dead: [dead('not_json'), dead('overflow'), dead('not_json')],
  }
  expect(await moved(telemetry.registry, () => telemetry.committed(commit, infoOf()))).toEqual({
    salespipeline_commits_total: 1,
    'salespipeline_records_total{partition="0"}': 10,
    'salespipeline_records_total{partition="3"}': 10,
    'salespipeline_skipped_offsets_total{partition="0"}': 2,
    'salespipeline_skipped_offsets_total{partition="3"}': 2,
    'salespipeline_accepted_total{partition="0"}': 7,
    'salespipeline_accepted_total{partition="3"}': 7,
    'salespipeline_duplicates_total{partition="0"}': 2,
    'salespipeline_duplicates_total{partition="3"}': 2,
    'salespipeline_dead_letters_total{reason="not_json"}': 2,
    'salespipeline_dead_letters_total{reason="overflow"}': 1,
    'salespipeline_late_events_total{aggregation="by_store"}': 6,
    'salespipeline_partly_late_events_total{aggregation="by_store"}': 2,
    'salespipeline_missed_windows_total{aggregation="by_store"}': 10,
  })
})

it.each([
  ['fetched', { 'salespipeline_fetched_bytes_total{partition="2"}': 4096 }],
  ['commitFailed', { 'salespipeline_commit_failures_total{kind="fenced"}': 1 }],
  ['rebalanced', { salespipeline_rebalances_total: 1, salespipeline_assigned_partitions: 3 }],
  ['busy', { salespipeline_busy_ratio: 0.25, salespipeline_busy_seconds_total: 0.25 }],
  ['projectionPending', { salespipeline_projection_pending_rows: 17 }],
  ['projected', { salespipeline_projected_rows_total: 2, salespipeline_projection_faults_total: 1 }],
  [
    'pipelineClock',
    {
      salespipeline_watermark_timestamp_seconds: NOW / 1000,
      salespipeline_finalised_windows_total: 5,
      salespipeline_removed_rows_total: 2,
    },
  ],
] as const)('changes only the metrics of %s when it is called', async (name, expected) => {
  const { telemetry } = telemetryForTest()
  const act = {
    fetched: () => telemetry.fetched(2, 4096),
    commitFailed: () => telemetry.commitFailed('fenced'),
    rebalanced: () => telemetry.rebalanced([1, 4, 7]),
    busy: () => telemetry.busy(250, 1000),
    projectionPending: () => telemetry.projectionPending(17),
    projected: () => telemetry.projected(workOf(...[0, 0, 1].map(a => projectedRow(a, NOW))), 1, infoOf()),
    pipelineClock: () => telemetry.pipelineClock({ watermark: NOW, finalised: 5, removed: 2 }),
  }[name]
  expect(await moved(telemetry.registry, act)).toEqual(expected)
})

it('shows a partition’s lag and watermark until it is released', async () => {
  const { telemetry } = telemetryForTest()
  telemetry.position(4, { committed: 90, nextOffset: 96, logEnd: 100, undecided: 3, watermark: NOW })
  telemetry.position(5, { committed: 100, nextOffset: 100, logEnd: 90, undecided: 0, watermark: null })
  const lag = 'salespipeline_lag_records'
  const watermark = 'salespipeline_partition_watermark_timestamp_seconds'
  const before = await scrape(telemetry.registry)
  expect(before.get(`${lag}{partition="4"}`)).toBe(10)
  expect(before.get('salespipeline_undecided_records{partition="4"}')).toBe(3)
  expect(before.get('salespipeline_uncommitted_records{partition="4"}')).toBe(6)
  expect(before.get(`${watermark}{partition="4"}`)).toBe(NOW / 1000)
  expect(before.get(`${lag}{partition="5"}`)).toBe(0)
  expect(before.has(`${watermark}{partition="5"}`)).toBe(false)

  telemetry.released(4)
  const after = await scrape(telemetry.registry)
  expect([...after.keys()].filter(name => name.includes('partition="4"'))).toEqual([])
  expect(after.get(`${lag}{partition="5"}`)).toBe(0)
})

it('shows no value for an unknown pipeline watermark, because 0 would mean 1970', async () => {
  const { telemetry } = telemetryForTest()
  telemetry.pipelineClock({ watermark: null, finalised: 0, removed: 0 })
  expect((await scrape(telemetry.registry)).has('salespipeline_watermark_timestamp_seconds')).toBe(false)
})

it('starts series of known label values at 0, so that the first increment has a rate', async () => {
  const series = await scrape(telemetryForTest().telemetry.registry)
  for (const name of [
    'salespipeline_dead_letters_total{reason="future_timestamp"}',
    'salespipeline_commit_failures_total{kind="rejected"}',
    'salespipeline_late_events_total{aggregation="overall"}',
    'salespipeline_conservation_violation{law="offsets"}',
  ])
    expect(series.get(name), name).toBe(0)
})

it('includes process metrics, and labels every series with the pipeline', async () => {
  const text = await telemetryForTest().telemetry.registry.metrics()
  expect(text).toMatch(/^process_cpu_seconds_total\{pipeline="default\/sales"\} /m)
  const series = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  expect(series.filter(line => !line.includes('pipeline="default/sales"'))).toEqual([])
})

it.each([
  ['offsets', { nextOffset: 115 }, 3],
  ['verdicts', { counters: { records: 10, skipped: 2, dead: 0, duplicate: 2, accepted: 7 } }, 1],
  ['lateness', { aggregations: [lateness({ late: 1, onTime: 4 }), lateness({ onTime: 7 })] }, 2],
] as const)('shows a violation of the law of %s until the worker restarts', async (law, change, deviation) => {
  const { telemetry, lines } = telemetryForTest()
  telemetry.setReady(true)
  telemetry.committed(commitOf(partitionCommit(0)), infoOf())
  expect(telemetry.health().ready).toBe(true)

  const broken = partitionCommit(1, change as Parameters<typeof partitionCommit>[1])
  telemetry.committed(commitOf(partitionCommit(0), broken), infoOf())
  telemetry.committed(commitOf(partitionCommit(0)), infoOf())
  const violations = [...(await scrape(telemetry.registry))].filter(([name]) => name.includes('conservation'))
  expect(violations.filter(([, value]) => value !== 0)).toEqual([
    [`salespipeline_conservation_violation{law="${law}"}`, deviation],
  ])
  expect(telemetry.health().ready).toBe(false)
  expect(telemetry.health().reasons[0]).toContain('ConservationViolated')
  expect(lines.map(line => line.level)).toEqual(['error', 'warn'])
})

it('counts a surplus in one partition and a loss in another as two violations', async () => {
  const { telemetry } = telemetryForTest()
  const [less, more] = [partitionCommit(0, { nextOffset: 111 }), partitionCommit(1, { nextOffset: 113 })]
  telemetry.committed(commitOf(less, more), infoOf())
  expect((await scrape(telemetry.registry)).get('salespipeline_conservation_violation{law="offsets"}')).toBe(2)
})

it.each([
  ['a value for half of the machine’s memory', () => totalmem() / 2, true],
  ['no value when the kernel reports more than any machine has', () => 2 ** 63, false],
  ['no value when the limit is unknown', () => 0, false],
])('shows as memory limit %s', async (_, limit, isShown) => {
  onTestFinished(() => void vi.restoreAllMocks())
  vi.spyOn(process, 'constrainedMemory').mockImplementation(limit)
  const series = await scrape(telemetryForTest().telemetry.registry)
  expect(series.get('salespipeline_memory_limit_bytes')).toBe(isShown ? limit() : undefined)
})
