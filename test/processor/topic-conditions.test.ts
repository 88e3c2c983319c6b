import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { topicConditions } from '#processor/topic-conditions.ts'

const compiled = (deduplication: string) =>
  compileSpec(
    parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales }
spec:
  source: { topic: sales }
  event: { id: id, time: { path: at }, fields: [{ name: store }] }
  watermark: { maxFutureSkew: 5m }
  ${deduplication}
  aggregations: [{ name: by_store, groupBy: [store], measures: [{ name: orders, op: count }] }]
`).spec,
  )
const topic = { topic: 'sales', topicId: 'topic-1', partitions: 4, maxAheadMs: 300_000 }
const opened = { generation: 1, firstPartitions: 4, watermark: null }
const DEDUPLICATION = 'deduplication: { horizon: 1h }'

describe('conditions of a topic', () => {
  it('shows no condition when brokers refuse what the spec refuses and no partition was added', () => {
    const none = { WeakFutureGuard: null, PartitionsAdded: null }
    expect(topicConditions(compiled(DEDUPLICATION), topic, opened)).toEqual(none)
    expect(topicConditions(compiled(DEDUPLICATION), { ...topic, maxAheadMs: 0 }, opened)).toEqual(none)
  })

  it('reports how weak the guard against wrong clocks is, and what to set', () => {
    const weak = (maxAheadMs: number) =>
      topicConditions(compiled(DEDUPLICATION), { ...topic, maxAheadMs }, opened).WeakFutureGuard
    expect(weak(3_600_000)).toMatch(/up to 3600000 ms ahead.*message\.timestamp\.after\.max\.ms=300000/)
    expect(weak(Number('9223372036854775807'))).toMatch(/arbitrarily far ahead/)
    expect(weak(Number.POSITIVE_INFINITY)).toMatch(/arbitrarily far ahead/)
  })

  it('warns of added partitions when deduplication is on', () => {
    const grown = { ...topic, partitions: 6 }
    expect(topicConditions(compiled(DEDUPLICATION), grown, opened).PartitionsAdded).toMatch(
      /grew from 4 to 6 partitions/,
    )
    expect(topicConditions(compiled(''), grown, opened).PartitionsAdded).toBeNull()
  })
})
