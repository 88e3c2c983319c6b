import { createHash } from 'node:crypto'
import { describe, expect } from 'vitest'
import {
  BY_STORE,
  byStore,
  commitNext,
  type Fresh,
  MINUTE,
  pipelineOf,
  ready,
  T0,
  TOPIC,
  totals,
  type Worker,
} from './fixture.ts'
import { onFresh } from './with-harness.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Returns the id of a row in Elasticsearch, as docs/tables.md defines it. */
const idOfKey = (store: Worker, key: string[]) =>
  `${sha256(store.ownership()!.owner).slice(0, 32)}-${sha256(JSON.stringify(key))}`

const idOf = (worker: Worker, store: string, start = new Date(T0).toISOString()) =>
  idOfKey(worker, ['by_store', start, store])

/** Takes and confirms until nothing waits. Resolves with all rows in the order in which they were taken. */
async function drain(worker: Worker, limit = 1000) {
  const rows = []
  for (let work = await worker.take(limit); work; work = await worker.take(limit)) {
    rows.push(...work.rows)
    await worker.confirm(work, [])
  }
  return rows
}

export function outboxContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('outbox (section 4)', () => {
    test('returns no work before the store is open, or when no row waits', async harness => {
      const store = harness.worker()
      expect([await store.take(10), await store.pending()]).toEqual([null, 0])
      await store.open(TOPIC)
      expect([await store.take(10), await store.pending()]).toEqual([null, 0])
    })

    test('hands every worker the same owner when it opens, and none before', async harness => {
      const [store, other] = [harness.worker(), harness.worker()]
      expect(store.ownership()).toBeNull()
      const { ownership } = await store.open(TOPIC)
      expect(ownership).toMatchObject({ owner: expect.stringMatching(/^shop\/sales\/[^/]+$/), inherited: [] })
      expect(await other.open(TOPIC)).toMatchObject({ ownership })
      expect([store.ownership(), other.ownership()]).toEqual([ownership, ownership])
    })

    test('returns the rows of commits as documents, for projected aggregations only', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a"b', 1050, -25]), totals(['a', 1])] })
      expect(await store.pending()).toBe(1)
      const work = (await store.take(10))!
      const [row] = await harness.rows('by_store')
      expect(work.rows).toHaveLength(1)
      expect(work.rows[0]).toMatchObject({ aggregation: 0, id: idOf(store, 'a"b'), version: row!.version })
      expect(work.rows[0]!.document).toEqual({
        '@timestamp': '2026-01-15T10:00:00.000Z',
        window_end: '2026-01-15T10:01:00.000Z',
        store: 'a"b',
        orders: 2,
        total: '10.25',
        smallest: '-0.25',
        largest: '10.50',
        average_order_sum: '10.25',
        average_order_count: 2,
        average_order: '5.12',
        final: false,
        partial: false,
        updated_at: new Date(work.rows[0]!.updatedAt).toISOString(),
      })
      await store.confirm(work, [])
      expect([await store.take(10), await store.pending()]).toEqual([null, 0])
    })

    test('returns documents and ids for windows over all time, boolean keys and number keys', async harness => {
      const projections =
        'projections: [{ aggregation: totals, index: totals }, { aggregation: by_kind, index: by-kind }, '
      const { store, claim } = await ready(harness, pipelineOf(['projections: [', projections]))
      const byKind = { aggregation: 2, windowStart: [T0], keys: [['true'], ['-3']], columns: [[4]] }
      await commitNext(store, claim, { aggregates: [byKind, totals(['a', 150])] })
      const rows = await drain(store)
      expect(rows.find(row => row.aggregation === 1)).toMatchObject({
        id: idOfKey(store, ['totals', '-infinity', 'a']),
      })
      expect(Object.keys(rows.find(row => row.aggregation === 1)!.document!).sort()).toEqual([
        'final',
        'partial',
        'revenue',
        'store',
        'updated_at',
      ])
      expect(rows.find(row => row.aggregation === 2)).toMatchObject({
        id: idOfKey(store, ['by_kind', '2026-01-15T10:00:00.000Z', 'true', '-3']),
        document: { online: true, quantity: '-3', orders: 4 },
      })
    })

    test('samples the rows that the sink must have: neither those that wait nor those that it rejected', async harness => {
      const { store, claim } = await ready(harness)
      expect(await harness.worker().sample()).toEqual([])
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1], [T0, 'c', 1])] })
      expect(await store.sample()).toEqual([])
      const work = (await store.take(10))!
      const { aggregation, id, version } = work.rows.find(row => row.id === idOf(store, 'b'))!
      await store.confirm(work, [{ aggregation, id, version, error: 'too long' }])
      await commitNext(store, claim, { aggregates: [byStore([T0, 'c', 1]), totals(['a', 1])] })
      const sample = await store.sample()
      expect(sample).toEqual(work.rows.filter(row => row.id === idOf(store, 'a')))
      const newer = harness.worker(pipelineOf(['index: by-store', 'index: elsewhere']))
      await newer.open(TOPIC)
      expect(await store.sample(), 'of a projection that a newer spec has moved').toEqual([])
    })

    test('samples both ends of a large table', async harness => {
      const { store, claim } = await ready(harness)
      const rows = Array.from({ length: 100 }, (_, i): [number, string, number] => [T0 + i * MINUTE, 'a', 1])
      await commitNext(store, claim, { aggregates: [byStore(...rows)] })
      await drain(store)
      const starts = (await store.sample()).map(row => row.document!['@timestamp'])
      for (const i of [0, 1, 98, 99]) expect(starts).toContain(new Date(T0 + i * MINUTE).toISOString())
    })

    test('gives a check of the sink to one worker in each interval', async harness => {
      const [store, other] = [harness.worker(), harness.worker()]
      expect(await store.beginCheck(0)).toBe(false)
      for (const worker of [store, other]) await worker.open(TOPIC)
      const begun = await Promise.all([store.beginCheck(60_000), other.beginCheck(60_000)])
      expect(begun.sort()).toEqual([false, true])
      expect(await store.beginCheck(60_000)).toBe(false)
      await harness.elapse(20)
      expect(await other.beginCheck(10)).toBe(true)
    })

    test('rebuilds a projection: enqueues all rows once with new versions, and shows how many are written', async harness => {
      const { store, claim } = await ready(harness)
      const other = harness.worker()
      await other.open(TOPIC)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1], [T0, 'c', 1])] })
      const before = await drain(store)
      expect(await store.rebuilds()).toEqual([])
      await store.rebuild([BY_STORE])
      await other.rebuild([BY_STORE])
      await store.advance()
      expect(await store.pending()).toBe(3)
      for (const worker of [store, other])
        expect(await worker.rebuilds()).toEqual([{ index: 'by-store', rows: 3, written: 0 }])
      const after = await drain(store)
      expect(after.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort())
      for (const row of after) expect(row.version).toBeGreaterThan(before.find(({ id }) => id === row.id)!.version)
      expect([await other.rebuilds(), await store.rebuilds()]).toEqual([[], []])
      await store.rebuild([BY_STORE])
      await other.advance()
      expect(await store.pending()).toBe(3)
    })

    test('samples no row of a projection that is being rebuilt', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1])] })
      await drain(store)
      await store.rebuild([BY_STORE])
      expect(await store.sample()).toEqual([])
      await store.advance()
      await drain(store)
      expect(await store.sample()).toEqual([])
      expect(await store.rebuilds()).toEqual([])
      expect(await store.sample()).toHaveLength(2)
    })

    test('ends a rebuild when its projection moves to another index', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      await drain(store)
      await store.rebuild([BY_STORE])
      const newer = harness.worker(pipelineOf(['index: by-store', 'index: elsewhere']))
      await newer.open(TOPIC)
      expect([await store.rebuilds(), await newer.rebuilds()]).toEqual([[], []])
      expect(await newer.pending()).toBe(1)
    })

    test('returns the latest state of a row once, however many commits wrote it', async harness => {
      const { store, claim } = await ready(harness)
      for (let i = 0; i < 5; i++)
        await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, `b${i}`, 1])] })
      const work = (await store.take(100))!
      expect(work.entries).toHaveLength(5)
      expect(work.rows).toHaveLength(6)
      expect(work.rows.find(row => row.id === idOf(store, 'a'))!.document).toMatchObject({ orders: 5 })
    })

    test('returns the oldest rows first, up to about the limit', async harness => {
      const { store, claim } = await ready(harness)
      for (let i = 0; i < 5; i++) await commitNext(store, claim, { aggregates: [byStore([T0, `s${i}`, 1])] })
      const work = (await store.take(2))!
      expect(work.rows.map(row => row.document!.store).sort()).toEqual(['s0', 's1'])
      await store.confirm(work, [])
      expect((await drain(store, 1)).map(row => row.document!.store)).toEqual(['s2', 's3', 's4'])
    })

    test('returns a row again, with a higher version, that changed between take and confirm', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const work = (await store.take(10))!
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] }) // a sink that hangs does not block commits
      await store.confirm(work, [])
      const second = (await store.take(10))!
      expect(second.rows).toMatchObject([{ id: idOf(store, 'a'), document: { total: '0.02' } }])
      expect(second.rows[0]!.version).toBeGreaterThan(work.rows[0]!.version)
    })

    test('returns unconfirmed work again, to one worker at a time', async harness => {
      const { store, claim } = await ready(harness)
      const other = harness.worker()
      await other.open(TOPIC)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const work = (await store.take(10))!
      expect(await other.take(10)).toBeNull()
      expect(await store.take(10)).toEqual(work)
      await store.close()
      expect((await other.take(10))!.rows).toEqual(work.rows)
    })

    test('confirms only the work that was taken, and stores its faults', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const work = (await store.take(10))!
      await commitNext(store, claim, { aggregates: [byStore([T0, 'b', 1])] })
      await store.confirm(work, [
        {
          aggregation: 0,
          id: work.rows[0]!.id,
          version: work.rows[0]!.version,
          error: 'mapper_parsing_exception: "x"',
        },
      ])
      expect(await harness.projectionErrors()).toEqual([
        { id: idOf(store, 'a'), error: 'mapper_parsing_exception: "x"' },
      ])
      expect((await drain(store)).map(row => row.document!.store)).toEqual(['b'])
      expect(await store.rejected()).toBe(1)
    })

    test('returns the traces of projected sales once', async harness => {
      const { store, claim } = await ready(harness)
      const [first, second] = ['1', '2'].map(n => `00-${n.repeat(32)}-${n.repeat(16)}-01`) as [string, string]
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])], traces: [first, second] })
      await commitNext(store, claim, { aggregates: [byStore([T0, 'b', 1])] })
      const work = (await store.take(10))!
      expect(work.traces).toEqual([first, second].map(traceparent => ({ aggregation: 0, traceparent })))
      await store.confirm(work, [])
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      expect((await store.take(10))!.traces).toEqual([])
    })

    test('removes a row’s projection error once the sink accepts a newer version of the row', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1])] })
      const work = (await store.take(10))!
      await store.confirm(
        work,
        work.rows.map(({ aggregation, id, version }) => ({ aggregation, id, version, error: 'no' })),
      )
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      await drain(store)
      expect(await store.rejected()).toBe(1)
      expect(await harness.projectionErrors()).toEqual([{ id: idOf(store, 'b'), error: 'no' }])
    })

    test('returns rows that became final, and tombstones of rows that retention removed', async harness => {
      const { store, claim } = await ready(harness)
      const second = await store.claim(1, 0)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0 + 10 * MINUTE })
      await commitNext(store, second, {}, { maxEventTime: T0 + 10 * MINUTE })
      const [written] = await drain(store)
      await store.advance()
      const [closed] = await drain(store)
      expect(closed).toMatchObject({ id: idOf(store, 'a'), document: { final: true } })
      for (const owned of [claim, second]) await commitNext(store, owned, {}, { maxEventTime: T0 + 100 * MINUTE })
      expect(await store.advance()).toMatchObject({ removed: 1 })
      const [removed, ...more] = await drain(store)
      expect(removed).toMatchObject({ aggregation: 0, id: idOf(store, 'a'), document: null })
      expect(more).toEqual([])
      expect(closed!.version).toBeGreaterThan(written!.version)
      expect(removed!.version).toBeGreaterThan(closed!.version)
      await harness.elapse(1)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 5])] }) // a redrive may create the row again
      const [recreated] = await drain(store)
      expect(recreated).toMatchObject({ id: idOf(store, 'a'), document: { total: '0.05' } })
      expect(recreated!.version).toBeGreaterThan(removed!.version)
    })

    test('merges waiting entries while a sink is down, so that each row is listed once', async harness => {
      const { store, claim } = await ready(harness)
      const second = await store.claim(1, 0)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'gone', 1])] }, { maxEventTime: T0 + 100 * MINUTE })
      await commitNext(store, second, {}, { maxEventTime: T0 + 100 * MINUTE })
      await store.advance()
      const held = (await store.take(1))!
      for (let i = 0; i < 1000; i++)
        await commitNext(
          store,
          claim,
          { aggregates: [byStore([T0 + 200 * MINUTE, 'a', 1], [T0 + 200 * MINUTE, `b${i % 3}`, 1])] },
          { records: 1 },
        )
      expect(await store.pending()).toBeGreaterThan(2000)
      await store.advance()
      expect(await store.pending()).toBe(5)
      await store.confirm(held, []) // its entries have been merged, so its rows come again
      const rows = await drain(store)
      expect(rows.map(row => row.document?.store ?? 'tombstone').sort()).toEqual(['a', 'b0', 'b1', 'b2', 'tombstone'])
      expect(rows.find(row => row.document?.store === 'a')!.document!.orders).toBe(1000)
    })

    test('returns all rows of an aggregation that is newly projected, or projected into another index', async harness => {
      const none = pipelineOf(['aggregation: by_store, index: by-store', 'aggregation: totals, index: totals'])
      const { store, claim } = await ready(harness, none)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1])] })
      expect(await store.take(10)).toBeNull()
      const projecting = harness.worker()
      await projecting.open(TOPIC)
      expect((await drain(projecting)).map(row => row.document!.store).sort()).toEqual(['a', 'b'])
      await commitNext(store, claim, { aggregates: [byStore([T0, 'c', 1])] }) // this worker’s spec does not project it
      const moved = harness.worker(pipelineOf(['index: by-store', 'index: by-store-2']))
      await moved.open(TOPIC)
      expect(await projecting.take(10)).toBeNull() // it would write into the old index
      expect((await drain(moved)).map(row => row.document!.store).sort()).toEqual(['a', 'b', 'c'])
    })
  })
}
