/** Rebuilds of large tables: in batches, beside commits and the projector. */
import pg from 'pg'
import { expect } from 'vitest'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow } from '#processor/ports.ts'
import { BY_STORE, byStore, commitNext, T0, TOPIC, type Worker } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const ROWS = 5000
const nameOf = (i: number) => `store-${String(i).padStart(4, '0')}`

/** Takes and confirms until nothing waits. */
async function drain(worker: Worker): Promise<ProjectedRow[]> {
  const rows: ProjectedRow[] = []
  for (let work = await worker.take(1000); work; work = await worker.take(1000)) {
    rows.push(...work.rows)
    await worker.confirm(work, [])
  }
  return rows
}

test('continues a rebuild where a lost worker stopped, and never writes a row below its newest version', async harness => {
  const store = harness.workerWith({ timeouts: { lock: 300 } })
  await store.open(TOPIC)
  const claim = await store.claim(0, 100)
  const sales = Array.from({ length: ROWS }, (_, i): [number, string, number] => [T0, nameOf(i), 1])
  await commitNext(store, claim, { aggregates: [byStore(...sales)] })
  const before = await drain(store)
  await store.rebuild([BY_STORE])
  expect(await store.pending(), 'rows while the rebuild begins').toBe(0)

  // Stops the upkeep in the third batch.
  const holder = new pg.Client(harness.address)
  await holder.connect()
  await holder.query(`BEGIN; SELECT FROM "${harness.schema}".by_store WHERE store = '${nameOf(4500)}' FOR UPDATE`)
  await expect(store.advance()).rejects.toThrow(Retryable)
  expect(await store.pending()).toBe(4000)
  expect(await store.rebuilds()).toEqual([{ index: 'by-store', rows: ROWS, written: 0 }])
  await commitNext(store, claim, { aggregates: [byStore([T0, nameOf(0), 7], [T0, nameOf(4999), 7])] })
  const first = await drain(store)
  expect(await store.rebuilds()).toEqual([{ index: 'by-store', rows: ROWS, written: 4000 }])
  expect(await store.sample(), 'rows of a rebuild in progress').toEqual([])
  await store.close()
  await holder.end()

  const other = harness.worker()
  await other.open(TOPIC)
  await other.advance()
  const rest = await drain(other)
  expect(rest).toHaveLength(1000)
  expect(await other.rebuilds()).toEqual([])
  const versions = new Map(before.map(({ id, version }) => [id, version]))
  for (const { id, version } of [...first, ...rest]) {
    expect(version >= versions.get(id)!, 'a row as it was before').toBe(true)
    versions.set(id, version)
  }
  expect(before.filter(({ id, version }) => version === versions.get(id))).toEqual([])
  const stored = await harness.query<{ version: string }>('SELECT version::text FROM @by_store')
  expect(stored.map(({ version }) => version).sort()).toEqual([...versions.values()].map(String).sort())
})

test('lists no more rows while many wait, so that newer changes are projected in between', async harness => {
  const store = harness.workerWith({})
  await store.open(TOPIC)
  const claim = await store.claim(0, 100)
  await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
  await drain(store)
  await store.rebuild([BY_STORE])
  await harness.query(`INSERT INTO @outbox (aggregation, rows, keys, compacted) VALUES ('by_store', 20000, '[]', true)`)
  await store.advance()
  expect(await store.pending()).toBe(20_000)
  expect(await drain(store)).toEqual([])
  await store.advance()
  expect(await drain(store)).toHaveLength(1)
  expect(await store.rebuilds()).toEqual([])
})
