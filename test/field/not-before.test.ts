/** A pipeline of release 0.3.0, which had no bound for early times: an earlier record keeps its verdict after the upgrade. */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { withoutLimits } from '#test/pipeline/documents.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { historyOf } from '#test/verify/support.ts'
import { Recomputation } from '#verify/recompute.ts'
import { readDocument, readSpec, type WrittenDocument } from '#verify/spec.ts'
import { documentOf } from './readers.ts'

const RECEIVED = Date.UTC(2026, 10, 29, 12)
const document = documentOf({
  event: { id: 'id', time: { path: 'ts' }, fields: [] },
  deduplication: { horizon: '87600h' },
})
const upgraded = checkPipeline(document)

/** The first one is counted before the upgrade, so the last one has a known id. */
const VALUES = [
  { id: 1, ts: '1969-12-31T12:00:00Z' },
  { id: 2, ts: '1969-12-31T12:00:00Z' },
  { id: 3, ts: '0001-01-01T00:00:00Z' },
  { id: 1, ts: '1970-01-02T12:00:00Z' },
].map(value => Buffer.from(JSON.stringify(value)))
const UPGRADED_AT = 1

describe('a time before 1970', () => {
  it('accepts a time before 1970 until the upgrade and makes it a dead letter afterwards, when a worker restores its ids', () => {
    const segments = [
      { fromOffset: 0, generation: 1, specJson: 'stored' },
      { fromOffset: UPGRADED_AT, generation: 2, specJson: 'upgraded' },
    ]
    const claim = firstClaim({ epoch: 2, nextOffset: UPGRADED_AT, segments })
    const state = new PartitionState(claim, json =>
      compileSpec((json === 'stored' ? withoutLimits(upgraded) : upgraded).spec),
    )
    const records = VALUES.map((value, delta) => ({ delta, timestamp: RECEIVED, key: null, value }))
    state.begin([])
    state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
    expect(state.restoring).toBe(true)
    state.process()
    const { commit, dead } = state.freeze()
    expect(dead.map(({ offset, reason }) => [offset, reason])).toEqual([
      [1, 'bad_time'],
      [2, 'bad_time'],
    ])
    expect(commit.counters).toMatchObject({ records: 3, dead: 2, duplicate: 1, accepted: 0 })
  })

  it('accepts a time before 1970 until the upgrade and expects a dead letter afterwards, in the verifier', () => {
    const stored = readSpec(document as unknown as WrittenDocument)
    const given = readSpec(readDocument(JSON.stringify(document)))
    const generations = [stored, given].map(({ rules }, i) => ({ number: i + 1, rules }))
    const stretches = new Map([
      [0, generations.map((generation, i) => ({ from: i === 0 ? 0 : UPGRADED_AT, generation, recorded: true }))],
    ])
    const recomputation = new Recomputation(given, historyOf(given, { generations, stretches }))
    VALUES.forEach((value, offset) => {
      recomputation.add({ partition: 0, offset, timestamp: RECEIVED, key: null, value, tooLarge: false })
    })
    expect(recomputation.partitions.get(0)).toMatchObject({ records: 4, dead: 2, duplicate: 1, accepted: 1 })
    expect([...recomputation.dead.values()].map(row => JSON.parse(row)[0])).toEqual(['bad_time', 'bad_time'])
  })
})
