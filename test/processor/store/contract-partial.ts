import { describe, expect } from 'vitest'
import type { AggregateRows } from '#processor/core/commit.ts'
import { byStore, commitNext, type Fresh, type Harness, MINUTE, pipelineOf, ready, T0, TOPIC } from './fixture.ts'
import { onFresh } from './with-harness.ts'

const ADDED: [string, string] = [
  '  raw: { table',
  '    - { name: added, groupBy: [store], measures: [{ name: orders, op: count }] }\n  raw: { table',
]
/** Allowed lateness and out-of-orderness of the document. */
const LATENESS = 35_000

/** Returns rows of the aggregation `added`, one order each. */
const added = (...starts: number[]): AggregateRows => ({
  aggregation: 3,
  windowStart: starts,
  keys: [starts.map(() => 'a')],
  columns: [starts.map(() => 1)],
})

const marks = async (harness: Harness, name: string) =>
  (await harness.rows(name)).map(({ windowStart, partial }) => [(windowStart - T0) / MINUTE, partial])

/** Opens a worker whose spec has, or does not have, the aggregation `added`. */
async function opened(harness: Harness, ...change: [string, string][]) {
  const worker = harness.worker(pipelineOf(...change))
  await worker.open(TOPIC)
  return worker
}

export function partialContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('partial windows (section 5)', () => {
    test('marks windows of an added aggregation that may have begun before it', async harness => {
      const old = harness.worker()
      await old.open(TOPIC)
      const claim = await old.claim(0, 0)
      await commitNext(old, claim, { aggregates: [byStore([T0, 'a', 1])] }, { maxEventTime: T0 + MINUTE })
      const worker = await opened(harness, ADDED)
      const next = await worker.claim(0, 0)
      const starts = [-1, 0, 1, 2].map(minutes => T0 + minutes * MINUTE)
      await commitNext(worker, next, { aggregates: [added(...starts), byStore([T0, 'b', 1], [T0 + MINUTE, 'b', 1])] })
      expect(await marks(harness, 'added')).toEqual([
        [-1, true],
        [0, true],
        [1, true],
        [2, false],
      ])
      expect((await harness.rows('by_store')).map(row => row.partial)).toEqual([false, false, false])
    })

    test('marks rows that exist when another partition is claimed, with a new version', async harness => {
      const old = harness.worker()
      await old.open(TOPIC)
      await commitNext(old, await old.claim(0, 0), {}, { maxEventTime: T0 - MINUTE })
      const slow = await old.claim(1, 0)
      const worker = await opened(harness, ADDED)
      await commitNext(worker, await worker.claim(0, 0), { aggregates: [added(T0, T0 + 2 * MINUTE)] })
      await commitNext(old, slow, {}, { maxEventTime: T0 + MINUTE })
      const before = await harness.rows('added')
      expect(before.map(row => row.partial)).toEqual([false, false])
      await worker.claim(1, 0)
      const after = await harness.rows('added')
      expect(after.map(row => row.partial)).toEqual([true, false])
      expect(after.map((row, i) => row.version > before[i]!.version)).toEqual([true, false])
    })

    test('marks only windows that the removed records can belong to', async harness => {
      const first = await opened(harness, ADDED)
      const claim = await first.claim(0, 0)
      const starts = [0, 1, 2].map(minutes => T0 + minutes * MINUTE)
      await commitNext(first, claim, { aggregates: [added(...starts)] }, { maxEventTime: T0 + MINUTE + LATENESS })
      const without = harness.worker()
      await without.open(TOPIC)
      await commitNext(without, await without.claim(0, 0), {}, { maxEventTime: T0 + 2 * MINUTE - 1 })
      const again = await opened(harness, ADDED)
      await again.claim(0, 0)
      expect(await marks(harness, 'added')).toEqual([
        [0, false],
        [1, true],
        [2, false],
      ])
    })

    test('marks nothing if an aggregation was never left out, or no event was', async harness => {
      const first = await opened(harness, ADDED)
      await commitNext(first, await first.claim(0, 0), { aggregates: [added(T0)] }, { maxEventTime: T0 })
      const same = await opened(harness, ADDED, ['allowedLateness: 30s', 'allowedLateness: 90s'])
      await same.claim(0, 0)
      await commitNext(same, await same.claim(1, 0), { aggregates: [added(T0)] }, { maxEventTime: null })
      expect(await marks(harness, 'added')).toEqual([[0, false]])
    })

    test('marks the first windows of a pipeline that starts behind offset 0, from its first event on', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      expect(await marks(harness, 'by_store')).toEqual([[0, false]])
      await store.claim(1, 0)
      const first = T0 + 2 * MINUTE - 5000
      const starts = [1, 2, 3].map((minutes): [number, string, number] => [T0 + minutes * MINUTE, 'a', 1])
      const event = { maxEventTime: T0 + 9 * MINUTE, firstEventTime: first }
      await commitNext(store, claim, { aggregates: [byStore(...starts)] }, event)
      expect(await marks(harness, 'by_store')).toEqual([
        [0, true],
        [1, true],
        [2, true],
        [3, false],
      ])
    })
  })
}
