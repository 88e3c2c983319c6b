/** History that is not sorted by time, with `allowedLateness: unlimited`: the engine and the verifier count every record. */
import { describe, expect, it } from 'vitest'
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { missingTimes } from '#processor/core/gaps.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { historyOf } from '#test/verify/support.ts'
import { Recomputation } from '#verify/recompute.ts'
import { readDocument, readSpec } from '#verify/spec.ts'
import { documentOf } from './readers.ts'

const RECEIVED = Date.UTC(2026, 10, 29)
const days = ['2026-11-28', '2001-05-06', '2026-11-27', '1970-01-01', '2013-02-03']
const VALUES = days.map(day => Buffer.from(JSON.stringify({ ts: `${day}T12:00:00Z` })))

const measures = [{ name: 'orders', op: 'count' }]
const window = { type: 'tumbling', size: '24h' }
const written = documentOf({
  event: { time: { path: 'ts' }, fields: [] },
  aggregations: [
    { name: 'patient', window, allowedLateness: 'unlimited', measures },
    { name: 'strict', window, allowedLateness: '1h', measures },
  ],
})
/** The workers compile the JSON of the specs table. */
const stored = JSON.parse(JSON.stringify(checkPipeline(written)))
const compiled: CompiledSpec = compileSpec(stored.spec)

describe('unlimited lateness', () => {
  it('gives the engine no late event', () => {
    const state = new PartitionState(firstClaim(), () => compiled)
    state.begin([])
    const records = VALUES.map((value, delta) => ({ delta, timestamp: RECEIVED, key: null, value }))
    state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
    state.process()
    const { commit, aggregates, raw } = state.freeze()
    expect(commit.aggregations.map(({ onTime, late }) => [onTime, late])).toEqual([
      [5, 0],
      [2, 3],
    ])
    expect(aggregates[0]!.windowStart).toHaveLength(5)
    expect(raw).toHaveLength(5)
  })

  it('gives the verifier no late event', () => {
    for (const spec of [readSpec(readDocument(JSON.stringify(written))), readSpec(stored)]) {
      const recomputation = new Recomputation(spec, historyOf(spec))
      VALUES.forEach((value, offset) => {
        recomputation.add({ partition: 0, offset, timestamp: RECEIVED, key: null, value, tooLarge: false })
      })
      expect(recomputation.partitions.get(0)!.aggregations.get('patient')).toMatchObject({ on_time: 5, late: 0 })
      expect(recomputation.aggregationTable(spec.rules.aggregations[0]!).rows.size).toBe(5)
    }
  })

  it('lets a gap lack all earlier event times', () => {
    const without = { ...stored.spec, aggregations: [] }
    const stretches = [stored.spec, without, stored.spec].map((spec, i) => ({
      fromOffset: i * 10,
      maxEventTime: i * 1000,
      isRecorded: true,
      spec,
    }))
    expect(missingTimes(stretches, 'patient')).toEqual({ after: Number.NEGATIVE_INFINITY, until: 2000 })
    expect(missingTimes(stretches, 'strict')).toEqual({ after: 1000 - 315_360_000_000 - 3_600_000, until: 2000 })
  })
})
