import { describe, expect } from 'vitest'
import { Fenced } from '#processor/errors.ts'
import { byStore, commitNext, commitOf, type Fresh, letter, partitionOf, ready, T0, TOPIC } from './fixture.ts'
import { onFresh } from './with-harness.ts'

const skippedOnly = (skipped: number) => ({ records: 0, skipped, dead: 0, duplicate: 0, accepted: 0 })

export function claimContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('claims and fencing (section 3)', () => {
    test('returns a position for every partition before any is claimed', async harness => {
      const store = harness.worker()
      expect(await store.open(TOPIC)).toMatchObject({ generation: 1, firstPartitions: 2, watermark: null })
      expect(await store.positions()).toEqual(
        new Map([
          [0, null],
          [1, null],
        ]),
      )
      expect(await store.inspect([0, 1])).toEqual([])
    })

    test('starts a partition that was added to the topic at offset 0, whatever `start` is', async harness => {
      const { store } = await ready(harness)
      const grown = { ...TOPIC, partitions: 4 }
      expect(await store.open(grown)).toMatchObject({ firstPartitions: 2 })
      expect(await store.positions()).toEqual(
        new Map([
          [0, 100],
          [1, null],
          [2, 0],
          [3, 0],
        ]),
      )
      expect(await store.claim(2, 555)).toMatchObject({ nextOffset: 0, restoreOffset: 0 })
      expect(await harness.worker().open(grown), 'also by another worker').toMatchObject({ firstPartitions: 2 })
      expect((await store.positions()).get(3)).toBe(0)
    })

    test('stores the start of the first claim and gives each claim a higher epoch and a new token', async harness => {
      const { store, claim } = await ready(harness)
      expect(claim).toMatchObject({
        partition: 0,
        epoch: 1,
        nextOffset: 100,
        restoreOffset: 100,
        maxEventTime: null,
        rejectedOffsets: [],
      })
      const second = await store.claim(0, 555)
      expect(second).toMatchObject({ epoch: 2, nextOffset: 100 })
      expect(second.token).not.toBe(claim.token)
      expect(await store.positions()).toEqual(
        new Map([
          [0, 100],
          [1, null],
        ]),
      )
      expect((await harness.progress(0)).firstOffset).toBe(100)
    })

    test('refuses a commit of the previous owner and writes nothing of it', async harness => {
      const { store, claim } = await ready(harness)
      const successor = harness.worker()
      await successor.open(TOPIC)
      const newClaim = await successor.claim(0, 0)
      const effects = {
        aggregates: [byStore([T0, 'a', 100])],
        dead: [letter(100)],
        raw: [{ partition: 0, offset: 101, line: 0, eventTime: T0, values: ['a', '1.00', '1', 'true', null] }],
      }
      await expect(store.commit(commitOf(claim, effects))).rejects.toThrow(Fenced)
      expect(await harness.rows('by_store')).toEqual([])
      expect([await harness.dead(), await harness.raw()]).toEqual([[], []])
      expect(await harness.progress(0)).toMatchObject({ nextOffset: 100, counters: { records: 0 } })
      expect(await successor.pending()).toBe(0)
      await commitNext(successor, newClaim, effects)
      expect(await harness.rows('by_store')).toHaveLength(1)
    })

    test('refuses a commit of two partitions if one was lost, and writes nothing of the other', async harness => {
      const { store, claim } = await ready(harness)
      const other = await store.claim(1, 7)
      await store.claim(1, 7)
      const both = {
        ...commitOf(claim, { aggregates: [byStore([T0, 'a', 100])] }),
        partitions: [partitionOf(claim), partitionOf(other)],
      }
      await expect(store.commit(both)).rejects.toThrow(Fenced)
      expect(await harness.rows('by_store')).toEqual([])
      expect(await store.positions()).toEqual(
        new Map([
          [0, 100],
          [1, 7],
        ]),
      )
    })

    test('refuses a commit that is already stored', async harness => {
      const { store, claim } = await ready(harness)
      const commit = commitOf(claim, { aggregates: [byStore([T0, 'a', 100])] })
      await store.commit(commit)
      await expect(store.commit(commit)).rejects.toThrow(Fenced)
      expect((await harness.rows('by_store'))[0]!.values.revenue).toBe('1.00')
    })

    test('accepts the next commit after a refused one', async harness => {
      const { store, claim } = await ready(harness)
      await expect(store.commit(commitOf({ ...claim, token: 'guessed' }))).rejects.toThrow(Fenced)
      await expect(store.commit(commitOf({ ...claim, epoch: claim.epoch + 1 }))).rejects.toThrow(Fenced)
      await commitNext(store, claim)
      expect(await store.positions()).toEqual(
        new Map([
          [0, 110],
          [1, null],
        ]),
      )
    })

    test('continues inside a record only from the line that is stored', async harness => {
      const { store, claim } = await ready(harness)
      const inside = { records: 0, nextOffset: 104, nextLine: 3, counters: skippedOnly(4) }
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 100])] }, inside)
      expect(await store.claim(0, 0)).toMatchObject({ nextOffset: 104, nextLine: 3, finishesRecord: false })
      const again = await store.claim(0, 0)
      for (const fromLine of [0, 2, 4])
        await expect(store.commit(commitOf({ ...again, nextLine: fromLine }))).rejects.toThrow(Fenced)
      await commitNext(store, again, {}, { records: 0, nextLine: 5 })
      expect(await store.inspect([0])).toMatchObject([{ nextOffset: 104, nextLine: 5 }])
      await commitNext(store, again, { aggregates: [byStore([T0, 'a', 50])] }, { records: 1 })
      expect(await store.inspect([0])).toMatchObject([{ nextOffset: 105, nextLine: 0 }])
      expect((await harness.rows('by_store'))[0]!.values.revenue).toBe('1.50')
    })

    test('inspects the progress of partitions in their order', async harness => {
      const { store, claim } = await ready(harness)
      await store.claim(1, 7)
      const commit = await commitNext(
        store,
        claim,
        {},
        { restoreOffset: 95, restoreMaxEventTime: T0 - 1, maxEventTime: T0, sources: '{"latest":[["é",1]]}' },
      )
      const [first, second] = await store.inspect([1, 0])
      expect(first).toEqual({
        partition: 0,
        epoch: 1,
        token: claim.token,
        nextOffset: 110,
        nextLine: 0,
        restoreOffset: 95,
        restoreMaxEventTime: T0 - 1,
        maxEventTime: T0,
        sources: '{"latest":[["é",1]]}',
        leaderEpoch: commit.partitions[0]!.leaderEpoch,
      })
      expect(second).toMatchObject({
        partition: 1,
        nextOffset: 7,
        maxEventTime: null,
        sources: null,
        leaderEpoch: null,
      })
      expect(await store.claim(0, 0)).toMatchObject({ epoch: 2, sources: '{"latest":[["é",1]]}' })
    })

    test('returns with a claim the offsets of rejected records from the restore offset on', async harness => {
      const { store, claim } = await ready(harness)
      const refused = [104, 101, 108].map(offset => letter(offset, { reason: 'store_rejected' }))
      await commitNext(store, claim, { dead: [...refused, letter(105)] }, { restoreOffset: 102 })
      expect(await store.claim(0, 0)).toMatchObject({
        restoreOffset: 102,
        nextOffset: 110,
        rejectedOffsets: [104, 108],
      })
    })

    test('adds up the counters of commits', async harness => {
      const { store, claim } = await ready(harness)
      const counters = { records: 9, skipped: 3, dead: 2, duplicate: 3, accepted: 4 }
      const counts = { late: 1, onTime: 3, partlyLate: 1, missedWindows: 2, added: 5, missed: 4 }
      const more = { nextOffset: 112, counters, aggregations: [counts, counts, counts] }
      await commitNext(store, claim, {}, more)
      await commitNext(store, claim, {}, { ...more, nextOffset: 124 })
      const progress = await harness.progress(0)
      expect(progress.counters).toEqual({ records: 18, skipped: 6, dead: 4, duplicate: 6, accepted: 8 })
      expect(progress.aggregations.by_store).toEqual({
        late: 2,
        onTime: 6,
        partlyLate: 2,
        missedWindows: 4,
        added: 10,
        missed: 8,
      })
      expect(Object.keys(progress.aggregations).sort()).toEqual(['by_kind', 'by_store', 'totals'])
      expect(progress.nextOffset! - progress.firstOffset!).toBe(progress.counters.records + progress.counters.skipped)
    })
  })
}
