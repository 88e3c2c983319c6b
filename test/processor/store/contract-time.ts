import { describe, expect } from 'vitest'
import { LAST_EVENT_TIME } from '#pipeline/limits.ts'
import type { Claim } from '#processor/core/claim.ts'
import {
  byStore,
  commitNext,
  type Fresh,
  type Harness,
  letter,
  MINUTE,
  pipelineOf,
  ready,
  T0,
  totals,
  type Worker,
} from './fixture.ts'
import { onFresh } from './with-harness.ts'

/** Long enough for any test step on a slow machine. */
const LONG_MS = 60_000

async function bothClaimed(
  harness: Harness,
  ...change: [string, string][]
): Promise<{ store: Worker; first: Claim; second: Claim }> {
  const { store, claim } = await ready(harness, pipelineOf(...change))
  return { store, first: claim, second: await store.claim(1, 0) }
}

const watermarkOf = async (store: Worker) => (await store.advance())!.watermark

export function timeContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('pipeline watermark (section 5)', () => {
    test('returns no watermark while a partition has no event', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, {}, { maxEventTime: T0 })
      expect(await watermarkOf(store)).toBeNull()
      await store.claim(1, 0)
      expect(await watermarkOf(store)).toBeNull()
    })

    test('returns the watermark of the slowest partition, and never lowers it', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, {}, { maxEventTime: T0 + MINUTE })
      await commitNext(store, second, {}, { maxEventTime: T0 })
      expect(await watermarkOf(store)).toBe(T0 - 5000)
      await commitNext(store, second, {}, { maxEventTime: T0 - MINUTE })
      expect(await watermarkOf(store)).toBe(T0 - 5000)
      expect(await harness.worker().open({ topic: 'sales', topicId: 'topic-1', partitions: 2 })).toMatchObject({
        watermark: T0 - 5000,
      })
    })

    test('follows the event times that several sources have reached, if they must agree', async harness => {
      const agreeing: [string, string] = ['idle: hold }', 'idle: hold, sources: { field: store } }']
      const { store, first, second } = await bothClaimed(harness, agreeing)
      await commitNext(store, first, {}, { maxEventTime: T0 + 9 * MINUTE, agreedTime: T0 })
      await commitNext(store, second, {}, { maxEventTime: T0 + 9 * MINUTE, agreedTime: null })
      expect(await watermarkOf(store)).toBeNull()
      await commitNext(store, second, {}, { maxEventTime: T0 + 9 * MINUTE, agreedTime: T0 + MINUTE })
      expect(await watermarkOf(store)).toBe(T0 - 5000)
    })

    test('ignores idle partitions while their lease lasts, even empty ones', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, {}, { maxEventTime: T0 })
      await store.renewIdle([second], LONG_MS)
      expect(await watermarkOf(store)).toBe(T0 - 5000)
      await store.renewIdle([second], 20)
      await harness.elapse(21)
      await commitNext(store, first, {}, { maxEventTime: T0 + MINUTE })
      expect(await watermarkOf(store)).toBe(T0 - 5000)
      await commitNext(store, second, {}, { maxEventTime: T0 + 2 * MINUTE })
      expect(await watermarkOf(store)).toBe(T0 + MINUTE - 5000)
    })

    test('accepts an idle lease only from the owner, and ends it at a claim or commit', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, {}, { maxEventTime: T0 })
      await store.renewIdle([{ ...second, token: 'guessed' }], LONG_MS)
      await store.renewIdle([{ ...second, epoch: 9 }], LONG_MS)
      expect(await watermarkOf(store)).toBeNull()
      await store.renewIdle([second], LONG_MS)
      const newClaim = await store.claim(1, 0)
      expect(await watermarkOf(store)).toBeNull()
      await store.renewIdle([newClaim], LONG_MS)
      await commitNext(store, newClaim, {}, { maxEventTime: T0 - MINUTE })
      expect(await watermarkOf(store)).toBe(T0 - MINUTE - 5000)
    })

    test('holds the watermark when all partitions are idle', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, {}, { maxEventTime: T0 })
      await store.renewIdle([first, second], LONG_MS)
      expect(await watermarkOf(store)).toBeNull()
    })

    test('advances the watermark with the clock when all partitions are idle, if the spec says so', async harness => {
      const { store, first, second } = await bothClaimed(harness, ['idle: hold', 'idle: advance'])
      await store.renewIdle([first, second], LONG_MS)
      const before = (await watermarkOf(store))!
      expect(before).toBeGreaterThan(0)
      await harness.elapse(30)
      expect(await watermarkOf(store)).toBeGreaterThanOrEqual(before + 30)
    })
  })

  describe('finality and retention (section 5)', () => {
    /** Windows of the first minute close at event time T0 + 60 s + 30 s lateness + 5 s out-of-orderness. */
    const CLOSING = T0 + MINUTE + 35_000

    test('makes windows final once the watermark has passed their end plus the allowed lateness', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(
        store,
        first,
        { aggregates: [byStore([T0, 'a', 1], [T0 + MINUTE, 'a', 1]), totals(['a', 1])] },
        { maxEventTime: CLOSING - 1 },
      )
      await store.renewIdle([second], LONG_MS)
      expect(await store.advance()).toEqual({ watermark: T0 + MINUTE + 30_000 - 1, finalised: 0, removed: 0 })
      const open = await harness.rows('by_store')
      await commitNext(store, first, {}, { maxEventTime: CLOSING })
      expect(await store.advance()).toMatchObject({ finalised: 1 })
      expect(await store.advance()).toMatchObject({ finalised: 0 })
      const rows = await harness.rows('by_store')
      expect(rows.map(row => row.final)).toEqual([true, false])
      expect(rows[0]!.version).toBeGreaterThan(open[0]!.version)
      expect(rows[1]!.version).toBe(open[1]!.version)
      expect((await harness.rows('totals')).map(row => row.final)).toEqual([false])
    })

    test('never makes windows final with unlimited lateness', async harness => {
      const { store, first, second } = await bothClaimed(
        harness,
        ['allowedLateness: 30s', 'allowedLateness: unlimited'],
        ['      retention: 1h\n', ''],
      )
      const afterAll = { maxEventTime: LAST_EVENT_TIME }
      await commitNext(store, first, { aggregates: [byStore([T0, 'a', 1])] }, afterAll)
      await store.renewIdle([second], LONG_MS)
      expect(await store.advance()).toMatchObject({ finalised: 0, removed: 0 })
      await commitNext(store, first, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1])] }, afterAll)
      expect(await store.advance()).toMatchObject({ finalised: 0, removed: 0 })
      const rows = await harness.rows('by_store')
      expect(rows.map(({ final, reopened }) => [final, reopened])).toEqual([
        [false, 0],
        [false, 0],
      ])
    })

    test('reopens a final window for late sales of an idle partition, counts that, and closes it again', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: CLOSING })
      await store.renewIdle([second], LONG_MS)
      await store.advance()
      await commitNext(store, second, { aggregates: [byStore([T0, 'a', 2])] }, { maxEventTime: T0 })
      expect((await harness.rows('by_store'))[0]).toMatchObject({
        final: false,
        reopened: 1,
        values: { revenue: '0.03' },
      })
      expect(await store.advance()).toMatchObject({ finalised: 1 })
      await commitNext(store, second, { aggregates: [byStore([T0, 'a', 2])] }, { maxEventTime: T0 })
      await commitNext(store, second, { aggregates: [byStore([T0, 'a', 2])] }, { maxEventTime: T0 })
      expect((await harness.rows('by_store'))[0]).toMatchObject({
        final: false,
        reopened: 2,
        values: { revenue: '0.07' },
      })
    })

    test('counts the reopening of a window alike in a row that exists and in one that is created', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(
        store,
        first,
        { aggregates: [byStore([T0, 'a', 1], [T0, 'c', 1], [T0 + MINUTE, 'a', 1])] },
        { maxEventTime: CLOSING },
      )
      await store.renewIdle([second], LONG_MS)
      await store.advance()
      const both = { aggregates: [byStore([T0, 'a', 2], [T0, 'b', 2], [T0 + MINUTE, 'b', 2])] }
      await commitNext(store, second, both, { maxEventTime: T0 })
      await commitNext(store, second, both, { maxEventTime: T0 })
      const rows = await harness.rows('by_store')
      expect(rows.map(({ keys, reopened }) => [keys[0], reopened])).toEqual([
        ['a', 1],
        ['b', 1],
        ['c', 0],
        ['a', 0],
        ['b', 0],
      ])
    })

    test('finalises more rows than fit into one transaction', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      const rows = Array.from({ length: 4500 }, (_, i): [number, string, number] => [T0, `store-${i}`, 1])
      await commitNext(store, first, { aggregates: [byStore(...rows)] }, { maxEventTime: CLOSING })
      await store.renewIdle([second], LONG_MS)
      expect(await store.advance()).toMatchObject({ finalised: 4500 })
      expect((await harness.rows('by_store')).every(row => row.final)).toBe(true)
    })

    test('removes windows only once every partition has passed them, including idle ones', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      const old = T0 + MINUTE + 3_600_000 + 5000
      await commitNext(store, second, {}, { maxEventTime: T0 })
      await commitNext(
        store,
        first,
        { aggregates: [byStore([T0, 'a', 1], [T0 + MINUTE, 'a', 1]), totals(['a', 1])] },
        { maxEventTime: old },
      )
      await store.renewIdle([second], LONG_MS)
      expect(await store.advance()).toMatchObject({ finalised: 2, removed: 0 })
      await commitNext(store, second, {}, { maxEventTime: old - 1 })
      expect(await store.advance()).toMatchObject({ removed: 0 })
      await commitNext(store, second, {}, { maxEventTime: old })
      expect(await store.advance()).toMatchObject({ removed: 1 })
      expect((await harness.rows('by_store')).map(row => row.windowStart)).toEqual([T0 + MINUTE])
      expect(await harness.rows('totals')).toHaveLength(1)
    })

    test('removes nothing while a partition has no event', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      await commitNext(store, first, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0 + 86_400_000 })
      await store.renewIdle([second], LONG_MS)
      expect(await store.advance()).toMatchObject({ finalised: 1, removed: 0 })
    })

    test('removes old raw sales, late events and dead letters, but no rejected record that may be read again', async harness => {
      const { store, first, second } = await bothClaimed(harness)
      const at = (offset: number, eventTime: number) => ({
        partition: 0,
        offset,
        line: 0,
        eventTime,
        values: ['a', '1.00', '1', 'true', null],
      })
      const late = (offset: number, eventTime: number) => ({
        partition: 0,
        offset,
        aggregation: 0,
        eventTime,
        missed: [T0],
        entirely: true,
        payload: Buffer.of(1),
      })
      await commitNext(
        store,
        first,
        {
          raw: [at(100, T0), at(101, T0 + 1)],
          late: [late(102, T0), late(103, T0 + 1)],
          dead: [
            letter(104),
            letter(105, { recordTimestamp: T0 + 1 }),
            letter(106, { reason: 'store_rejected' }),
            letter(107, { reason: 'store_rejected' }),
          ],
        },
        { maxEventTime: T0 + 3_600_000 + 5000, restoreOffset: 107 },
      )
      await commitNext(store, second, {}, { maxEventTime: T0 + 3_600_000 + 5000 })
      expect(await store.advance()).toMatchObject({ removed: 4 })
      expect((await harness.raw()).map(sale => sale.offset)).toEqual([101])
      expect((await harness.late()).map(event => event.offset)).toEqual([103])
      expect((await harness.dead()).map(dead => dead.offset)).toEqual([105, 107])
    })
  })
}
