/** Tables that release 0.3.0 created get the mark for partial windows (section 5), and a rollback to it works. */
import { expect } from 'vitest'
import { byStore, commitNext, pipelineOf, T0, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

/** Removes everything that this release adds to the tables of release 0.3.0 for partial windows. */
async function downgrade(harness: PostgresHarness, mark = 'partial'): Promise<void> {
  await harness.query('DELETE FROM @migrations WHERE version = -3')
  await harness.query('ALTER TABLE @spec_history DROP COLUMN max_event_time, DROP COLUMN recorded_generation')
  await harness.query('ALTER TABLE @aggregations DROP COLUMN incomplete')
  for (const table of ['by_store', 'totals', 'by_kind'])
    await harness.query(`ALTER TABLE @${table} DROP COLUMN IF EXISTS ${table === 'by_store' ? mark : 'partial'}`)
}

/** What release 0.3.0 writes: it names its columns, and knows none of this release's. */
const INSERT_030 = `INSERT INTO @by_store (window_start, window_end, store, orders, revenue, smallest, largest,
    average_order_sum, average_order_count, version)
  VALUES ('2026-01-15T10:00:00Z', '2026-01-15T10:01:00Z', 'rolled-back', 1, 1, 1, 1, 1, 1, 1)`

test('adds the mark to stored tables, marks none of their rows, and accepts rows of release 0.3.0', async harness => {
  const old = harness.worker()
  await old.open(TOPIC)
  await commitNext(old, await old.claim(0, 0), { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0 })
  await downgrade(harness)
  for (let start = 1; start <= 2; start++) {
    const worker = harness.worker()
    expect(await worker.open(TOPIC)).toMatchObject({ generation: 1 })
    await commitNext(worker, await worker.claim(0, 0), { aggregates: [byStore([T0, 'b', 1])] }, { maxEventTime: T0 })
  }
  await harness.query(INSERT_030)
  expect((await harness.rows('by_store')).map(row => row.partial)).toEqual([false, false, false])
})

test('marks rows that release 0.3.0 created after a rollback', async harness => {
  const worker = harness.worker()
  await worker.open(TOPIC)
  const claim = await worker.claim(0, 100)
  await commitNext(worker, claim, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0, firstEventTime: T0 })
  await harness.query(INSERT_030)
  await harness.worker().open(TOPIC)
  expect((await harness.rows('by_store')).map(row => row.partial)).toEqual([true, true])
})

test('names the mark _partial in a table whose measure is called partial', async harness => {
  const named: [string, string] = [
    'name: orders, op: count }\n        - { name: revenue',
    'name: partial, op: count }\n        - { name: revenue',
  ]
  const worker = harness.worker(pipelineOf(named))
  await worker.open(TOPIC)
  await downgrade(harness, '_partial')
  const upgraded = harness.worker(pipelineOf(named))
  await upgraded.open(TOPIC)
  const claim = await upgraded.claim(0, 100)
  await commitNext(upgraded, claim, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0, firstEventTime: T0 })
  expect(await harness.query('SELECT partial, _partial FROM @by_store')).toEqual([{ partial: 1, _partial: true }])
  const work = await upgraded.take(10)
  expect(work!.rows[0]!.document).toMatchObject({ partial: 1, _partial: true })
})
