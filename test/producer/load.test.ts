import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Generator } from '#producer/generator.ts'
import { type LoadReport, startLoad } from '#producer/load.ts'
import { Schedule } from '#producer/schedule.ts'
import { createTopic, kafka, ownKafka, unique } from '#test/support/services.ts'
import { readJournal } from '#verify/journal.ts'
import { ecommerce } from './pipelines.ts'
import { type LogRecord, readBack } from './read-back.ts'

const BAD_DAY = {
  disorder: { fraction: 0.2, max: '5s' },
  lateness: { fraction: 0.05, by: '10m' },
  duplicates: { fraction: 0.1, within: '500ms' },
  malformed: { fraction: 0.05 },
}
/** A test's own broker starts slowly on a busy machine. */
const BROKER_MS = 300_000
const PARTITIONS = 3
let bootstrap: string

beforeAll(async () => {
  ;({ bootstrap } = await kafka())
})

async function newTopic(): Promise<string> {
  const topic = unique('load')
  await createTopic(bootstrap, topic, PARTITIONS)
  return topic
}

const journals = mkdtempSync(join(tmpdir(), 'journals-'))
afterAll(() => rmSync(journals, { recursive: true }))
const newJournal = () => mkdtempSync(join(journals, 'run-'))

/** Expects the log to contain exactly the records of the journal, at the positions in the journal. */
async function expectAgreement(journalFolder: string, log: LogRecord[], report: LoadReport): Promise<void> {
  const journal = await readJournal(journalFolder)
  for (const { partition, offset, key, value } of log) journal.checkOff(partition, offset, key, value)
  expect(log.length).toBeGreaterThan(0)
  expect(journal).toMatchObject({ sent: report.sent, acknowledged: report.acknowledged, foreign: 0 })
  expect(journal.lostFromLog()).toBe(0)
}

describe('a load run with every mishap', () => {
  let report: LoadReport
  let log: LogRecord[]
  let journal: string
  const startAt = '2026-01-01T00:00:00Z'
  const load = { rate: 1000, seed: 42, startAt, speed: 2, ...BAD_DAY }

  beforeAll(async () => {
    const topic = await newTopic()
    journal = newJournal()
    const run = await startLoad({ pipeline: ecommerce(bootstrap, topic, load), forMs: 3000, journal })
    report = await run.finished
    log = await readBack(bootstrap, topic)
  })

  it('writes a journal that agrees with the log', async () => {
    await expectAgreement(journal, log, report)
  })

  it('sends exactly the generated events, with their scheduled times', () => {
    const spec = ecommerce(bootstrap, 'any', load).spec.load
    const generator = new Generator(spec, new Schedule(spec.rate), Date.parse(startAt))
    const scheduled: string[] = []
    for (let event = generator.next(3000); event !== null; event = generator.next(3000))
      scheduled.push(`${Math.floor(event.due)} ${event.key} ${event.value?.toString('latin1')}`)
    const start = report.firstAt!
    const found = log.map(({ timestamp, key, value }) => `${timestamp - start} ${key} ${value?.toString('latin1')}`)
    expect(scheduled.length).toBeGreaterThan(3000)
    expect(found.sort()).toEqual(scheduled.sort())
  })

  it('counts its records in the report', () => {
    expect(report).toMatchObject({
      offered: log.length,
      sent: log.length,
      acknowledged: log.length,
      unknown: 0,
      errors: [],
    })
    const { normal, disorder, late, duplicate, malformed } = report.perKind
    expect(normal + disorder + late + malformed).toBe(3000)
    expect(normal + disorder + late + malformed + duplicate).toBe(report.sent)
    for (const count of Object.values(report.perKind)) expect(count).toBeGreaterThan(50)
    expect([report.firstAt, report.lastAt]).toEqual([
      Math.min(...log.map(r => r.timestamp)),
      Math.max(...log.map(r => r.timestamp)),
    ])
  })

  it('sends each key to one partition, in scheduled order', () => {
    const partitions = new Map<string, Set<number>>()
    for (const { key, partition } of log)
      partitions.set(`${key}`, (partitions.get(`${key}`) ?? new Set()).add(partition))
    expect(Math.max(...[...partitions.values()].map(set => set.size))).toBe(1)
    expect(new Set(log.map(record => record.partition)).size).toBe(PARTITIONS)
    log.slice(1).forEach((record, i) => {
      if (record.partition === log[i]!.partition) expect(record.timestamp).toBeGreaterThanOrEqual(log[i]!.timestamp)
    })
  })

  it('sends both tombstones and empty values', () => {
    expect(log.filter(({ value }) => value === null).length).toBeGreaterThan(0)
    expect(log.filter(({ value }) => value?.length === 0).length).toBeGreaterThan(0)
  })
})

it('sends a backlog of a given count whose event times end now, spaced by the rate', async () => {
  const topic = await newTopic()
  const before = Date.now()
  const pipeline = ecommerce(bootstrap, topic, { rate: 100, duplicates: { fraction: 0.1, within: '5s' } })
  const report = await (await startLoad({ pipeline, count: 20_000 })).finished
  const log = await readBack(bootstrap, topic)
  expect(log.length).toBe(report.acknowledged)
  expect(report.perKind.normal).toBe(20_000)
  expect(report.perKind.duplicate).toBeGreaterThan(1500)
  const times = log.map(({ value }) => Date.parse(JSON.parse(value!.toString()).timestamp))
  const [first, last] = times.reduce(([a, b], time) => [Math.min(a, time), Math.max(b, time)], [times[0]!, times[0]!])
  // 20,000 sales at 100/s.
  expect(last - first).toBe(199_990)
  expect(last).toBeLessThanOrEqual(report.lastAt!)
  expect(log.every(({ timestamp }) => timestamp >= before)).toBe(true)
})

it('changes the rate, pauses and stops during a run', async () => {
  const topic = await newTopic()
  const run = await startLoad({ pipeline: ecommerce(bootstrap, topic, { rate: 0 }) })
  await sleep(100)
  expect(run.stats()).toMatchObject({ offered: 0, sent: 0, firstAt: null, lastAt: null })
  run.setRate(2000)
  while (run.stats().acknowledged < 200) await sleep(10)
  run.setRate(0)
  const { offered } = run.stats()
  await sleep(200)
  expect(run.stats().offered).toBe(offered)
  const report = await run.stop()
  expect(report).toMatchObject({ offered, sent: offered, acknowledged: offered, unknown: 0 })
  expect((await readBack(bootstrap, topic)).length).toBe(offered)
})

it('names a missing topic', async () => {
  const failed = await startLoad({ pipeline: ecommerce(bootstrap, 'nowhere'), openMs: 3000 }).catch(error => error)
  expect(failed.message).toMatch(/topic nowhere .*Unknown topic/)
})

it('loses and duplicates nothing while a broker restarts', {
  timeout: BROKER_MS,
}, async () => {
  const broker = await ownKafka('load-restart')
  try {
    await createTopic(broker.bootstrap, 'sales', PARTITIONS)
    const journal = newJournal()
    const run = await startLoad({ pipeline: ecommerce(broker.bootstrap, 'sales', { rate: 3000, ...BAD_DAY }), journal })
    while (run.stats().acknowledged < 3000) await sleep(20)
    await broker.kill()
    const whileDown = run.stats()
    await sleep(3000)
    // The fault is effective: the schedule continues and Kafka acknowledges nothing.
    expect(run.stats().acknowledged).toBe(whileDown.acknowledged)
    expect(run.stats().offered).toBeGreaterThan(whileDown.offered + 5000)
    expect(run.stats().sent).toBeGreaterThan(run.stats().acknowledged)
    await broker.start()
    while (run.stats().acknowledged < whileDown.offered + 12_000 || run.stats().behindMs > 0) await sleep(50)
    const report = await run.stop()
    expect(report).toMatchObject({ sent: report.offered, acknowledged: report.offered, unknown: 0, errors: [] })
    const log = await readBack(broker.bootstrap, 'sales')
    expect(log.length).toBe(report.acknowledged)
    await expectAgreement(journal, log, report)
    // Delayed records kept their scheduled timestamps.
    const timestamps = log.map(({ timestamp }) => timestamp).sort((a, b) => a - b)
    const gaps = timestamps.slice(1).map((timestamp, i) => timestamp - timestamps[i]!)
    expect(gaps.reduce((longest, gap) => Math.max(longest, gap), 0)).toBeLessThanOrEqual(2)
  } finally {
    await broker.stop()
  }
})

it('counts records that a lost broker did not acknowledge as unknown and journals them as sent', {
  timeout: BROKER_MS,
}, async () => {
  const broker = await ownKafka('load-gone')
  try {
    await createTopic(broker.bootstrap, 'sales', PARTITIONS)
    const journal = newJournal()
    const run = await startLoad({
      pipeline: ecommerce(broker.bootstrap, 'sales', { rate: 2000 }),
      journal,
      flushMs: 500,
    })
    while (run.stats().acknowledged < 500) await sleep(20)
    await broker.kill()
    await sleep(500)
    const report = await run.stop()
    expect(report.unknown).toBeGreaterThan(0)
    expect(report.sent).toBe(report.acknowledged + report.unknown)
    expect(report.offered).toBeGreaterThan(report.sent)
    expect(report.errors.length).toBeGreaterThan(0)
    const lines = readFileSync(join(journal, readdirSync(journal)[0]!), 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.filter(([kind]) => kind === 's').reduce((sum, [, , hashes]) => sum + hashes.length, 0)).toBe(
      report.sent,
    )
    expect(lines.filter(([kind]) => kind === 'a').reduce((sum, line) => sum + line[4].length, 0)).toBe(
      report.acknowledged,
    )
  } finally {
    await broker.stop()
  }
})
