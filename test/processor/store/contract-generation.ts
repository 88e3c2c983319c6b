import { describe, expect } from 'vitest'
import type { Claim } from '#processor/core/claim.ts'
import { byStore, commitNext, commitOf, type Fresh, pipelineOf, ready, T0, TOPIC } from './fixture.ts'
import { onFresh } from './with-harness.ts'

const LATER: [string, string] = ['allowedLateness: 30s', 'allowedLateness: 90s']

const segmentsOf = (claim: Claim) =>
  claim.segments.map(({ fromOffset, generation, specJson }) => [
    fromOffset,
    generation,
    JSON.parse(specJson).spec.allowedLateness,
  ])

export function generationContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('generations of the spec (section 2)', () => {
    test('keeps the generation if a change of the spec does not affect results', async harness => {
      await ready(harness)
      const unchanged = await harness.worker().open(TOPIC)
      const faster = await harness.worker(pipelineOf(['  sinks:', '  commit: { interval: 7ms }\n  sinks:'])).open(TOPIC)
      expect([unchanged.generation, faster.generation]).toEqual([1, 1])
    })

    test('applies a new generation from the next claim’s offset, and refuses claims of the older one', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, {}, { restoreOffset: 104 })
      const newer = harness.worker(pipelineOf(LATER))
      expect(await newer.open(TOPIC)).toMatchObject({ generation: 2 })
      await commitNext(store, claim, {}, { restoreOffset: 104 }) // it owns the partition until another worker claims it
      const adopted = await newer.claim(0, 0)
      expect(segmentsOf(adopted)).toEqual([
        [100, 1, 30_000],
        [120, 2, 90_000],
      ])
      await expect(store.claim(1, 0)).rejects.toMatchObject({ code: 'GenerationOutdated' })
      await expect(store.claim(0, 0)).rejects.toMatchObject({ code: 'GenerationOutdated' })
      await expect(store.commit(commitOf(claim))).rejects.toThrow(/./)
      expect(await store.advance()).toBeNull()
      expect(await newer.advance()).not.toBeNull()
    })

    test('begins a new generation after a record of which some lines are counted', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, {}, { restoreOffset: 104 })
      await commitNext(store, claim, {}, { records: 0, nextLine: 7, restoreOffset: 104 })
      const newer = harness.worker(pipelineOf(LATER))
      await newer.open(TOPIC)
      const finishing = await newer.claim(0, 0)
      expect(finishing).toMatchObject({ nextOffset: 110, nextLine: 7, finishesRecord: true })
      expect(segmentsOf(finishing)).toEqual([[100, 1, 30_000]])
      expect(await newer.claim(0, 0), 'also when it is claimed again').toMatchObject({ finishesRecord: true })
      const last = await newer.claim(0, 0)
      await commitNext(newer, last, {}, { records: 1, restoreOffset: 104 })
      const adopted = await newer.claim(0, 0)
      expect(adopted.finishesRecord).toBe(false)
      expect(segmentsOf(adopted)).toEqual([
        [100, 1, 30_000],
        [111, 2, 90_000],
      ])
    })

    test('returns only the segments from the restore offset on', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim)
      const newer = harness.worker(pipelineOf(LATER))
      await newer.open(TOPIC)
      const adopted = await newer.claim(0, 0)
      await commitNext(newer, adopted, {}, { restoreOffset: 112 })
      expect(segmentsOf(await newer.claim(0, 0))).toEqual([[110, 2, 90_000]])
    })

    test('counts an older spec that is applied again as a new generation', async harness => {
      await ready(harness)
      await harness.worker(pipelineOf(LATER)).open(TOPIC)
      const back = harness.worker()
      expect(await back.open(TOPIC)).toMatchObject({ generation: 3 })
      expect(segmentsOf(await back.claim(0, 0))).toEqual([[100, 3, 30_000]]) // nothing was read under generation 1
    })

    test('refuses an aggregation that has the same name but another meaning', async harness => {
      await ready(harness)
      for (const change of [
        ['size: 1m', 'size: 2m'],
        ['groupBy: [store]', 'groupBy: [store, online]'],
        ['name: smallest, op: min', 'name: smallest, op: max'],
        ['{ name: store }', '{ name: store, path: shop }'],
      ] as [string, string][])
        await expect(harness.worker(pipelineOf(change)).open(TOPIC)).rejects.toMatchObject({
          code: 'AggregationChanged',
          message: expect.stringMatching(/new name.*start over/),
        })
      expect(await harness.worker().open(TOPIC)).toMatchObject({ generation: 1 })
    })

    test('adds an aggregation to the existing ones', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const wider = harness.worker(
        pipelineOf([
          '    - name: totals',
          '    - { name: counted, measures: [{ name: orders, op: count }] }\n    - name: totals',
        ]),
      )
      expect(await wider.open(TOPIC)).toMatchObject({ generation: 2 })
      expect(await harness.rows('counted')).toEqual([])
      expect(await harness.rows('by_store')).toHaveLength(1)
    })

    test('refuses a topic that was created again, and adds new partitions', async harness => {
      await ready(harness)
      await expect(harness.worker().open({ ...TOPIC, topicId: 'topic-2' })).rejects.toMatchObject({
        code: 'TopicReplaced',
      })
      const store = harness.worker()
      await store.open({ ...TOPIC, partitions: 3 })
      expect(await store.positions()).toEqual(
        new Map([
          [0, 100],
          [1, null],
          [2, 0],
        ]),
      )
    })
  })
}
