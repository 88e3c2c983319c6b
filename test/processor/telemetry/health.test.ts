import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { INFORMATIONAL, type WorkerCode } from '#pipeline/conditions.ts'
import { clock, commitOf, infoOf, NOW, partitionCommit, scrape, telemetryForTest } from './fixture.ts'

it('reports a worker as ready after setReady, except while a blocking condition is active', async () => {
  const { telemetry } = telemetryForTest()
  expect(telemetry.health()).toEqual({ live: true, ready: false, reasons: ['Starting'] })
  telemetry.setReady(true)
  expect(telemetry.health()).toEqual({ live: true, ready: true, reasons: [] })

  telemetry.condition('LogTruncated', 'partition 3 ends at 7')
  telemetry.condition('StoreUnavailable', 'no answer')
  expect(telemetry.health()).toEqual({
    live: true,
    ready: false,
    reasons: ['LogTruncated: partition 3 ends at 7', 'StoreUnavailable: no answer'],
  })
  expect((await scrape(telemetry.registry)).get('salespipeline_condition{code="LogTruncated"}')).toBe(1)

  telemetry.condition('LogTruncated', null)
  telemetry.condition('StoreUnavailable', null)
  expect(telemetry.health().ready).toBe(true)
  expect((await scrape(telemetry.registry)).get('salespipeline_condition{code="LogTruncated"}')).toBe(0)
})

it('shows and logs an informational condition, and stays ready', async () => {
  const { telemetry } = telemetryForTest()
  telemetry.setReady(true)
  expect(INFORMATIONAL.size).toBeGreaterThan(0)
  for (const code of INFORMATIONAL as ReadonlySet<WorkerCode>) telemetry.condition(code, 'weaker')
  expect(telemetry.health().ready).toBe(true)
  expect(Object.keys((await telemetry.snapshot()).conditions)).toEqual([...INFORMATIONAL])
})

it('logs a raised or cleared condition at once and a changed message once a minute, and shows the latest message', () => {
  let now = NOW
  const { telemetry, lines } = telemetryForTest({ clock: { ...clock, now: () => now } })
  for (const [after, message] of [
    [0, '1 id'],
    [1000, '1 id'],
    [1000, '2 ids'],
    [58_000, '3 ids'],
    [59_000, '4 ids'],
    [0, null],
    [0, null],
  ] as const) {
    now += after
    telemetry.condition('StoreUnavailable', message)
    if (message) expect(telemetry.health().reasons).toContain(`StoreUnavailable: ${message}`)
  }
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['warn', 'StoreUnavailable: 1 id'],
    ['warn', 'StoreUnavailable: 3 ids'],
    ['info', 'condition cleared: StoreUnavailable'],
  ])
})

it('reports a worker whose flow has ended as neither live nor ready', () => {
  const { telemetry } = telemetryForTest()
  telemetry.setReady(true)
  telemetry.setLive(false)
  expect(telemetry.health()).toEqual({
    live: false,
    ready: false,
    reasons: ['the worker no longer reads and commits; its log shows why'],
  })
})

it('appends one line per commit to the commit log before committed() returns', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'commit-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const commitLog = join(folder, 'commits.jsonl')
  const lines = () =>
    readFileSync(commitLog, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
  const first = {
    at: NOW,
    worker: 'worker-1',
    partitions: [
      [0, 100, 112],
      [2, 100, 112],
    ],
  }
  const second = { at: NOW, worker: 'worker-1', partitions: [[1, 100, 112]] }

  const { telemetry } = telemetryForTest({ commitLog })
  telemetry.committed(commitOf(partitionCommit(0), partitionCommit(2)), infoOf([NOW - 5]))
  expect(lines()).toEqual([first])
  await telemetry.close()

  const { telemetry: restarted } = telemetryForTest({ commitLog })
  restarted.committed(commitOf(partitionCommit(1)), infoOf())
  expect(lines()).toEqual([first, second])
  await restarted.close()
})
