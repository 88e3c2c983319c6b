/** Few records move a partition's watermark, and it makes many events late that arrive in time. */
import { beforeEach, describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { InputMonitor } from '#processor/input-monitor.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { documentWith } from '../pipeline/documents.ts'

const SECOND = 1000
const MINUTE = 60_000
const NOW = Date.UTC(2026, 10, 29, 10)
const OLD_SETTINGS = { outOfOrderness: '5s', maxFutureSkew: '5m' }

let raised: string | null = null
let watched: ReturnType<typeof watchedPartition>
const watch = (watermark: object = OLD_SETTINGS, more: Record<string, unknown> = {}) =>
  (watched = watchedPartition(watermark, more))
beforeEach(() => void watch())

function watchedPartition(watermark: object, more: Record<string, unknown>) {
  const document = documentWith({
    'spec.event.time': { path: 'at', format: 'epoch' },
    'spec.event.fields': [{ name: 'store' }],
    'spec.allowedLateness': '30s',
    'spec.watermark': watermark,
    'spec.aggregations': [{ name: 'by_store', groupBy: ['store'], measures: [{ name: 'orders', op: 'count' }] }],
    ...more,
  })
  const compiled = compileSpec(checkPipeline(document).spec)
  raised = null
  const monitor = new InputMonitor(compiled, {
    condition: (code, message) => {
      if (code === 'WatermarkFarAhead') raised = message
    },
  })
  const state = new PartitionState(firstClaim({ partition: 3 }), () => compiled)
  /** Commits `count` records, 10 ms apart from `at` on, and reports. */
  const commit = (count: number, at: number, offBy = 0, timestampOffBy = 0) => {
    const records = Array.from({ length: count }, (_, delta) => {
      const time = at + delta * 10
      const value = Buffer.from(`{"at":${time + offBy},"store":"a"}`)
      return { delta, timestamp: time + timestampOffBy, key: null, value }
    })
    state.begin([])
    state.feed({ data: encodeBatch({ baseOffset: state.nextOffset, records }), cut: null })
    state.process()
    monitor.note([state.freeze()], at)
    monitor.report(at)
    return state
  }
  return { monitor, commit }
}

describe('the condition WatermarkFarAhead', () => {
  it('reports 12 sales that make 1,000 others late, with the partition, the record and how far it is ahead', () => {
    const { commit } = watched
    commit(50, NOW)
    commit(12, NOW + SECOND, 5 * MINUTE)
    expect(raised).toBeNull()
    commit(1000, NOW + 2 * SECOND)
    expect(raised).toBe(
      'partition 3: 1000 of 1062 records in the last minute are late although they arrived in time, and only 12 records agree with the watermark. It follows event time 2026-11-29T10:05:01.110Z of offset 61, 289.1 s after the newest of the late ones. Correct the clock of its producer, and raise spec.watermark.outOfOrderness to at least twice maxFutureSkew, or set spec.watermark.sources',
    )
  })

  it('reports a record ahead that was counted before the last minute, or by another worker', () => {
    const { commit } = watched
    commit(1, NOW, 5 * MINUTE)
    commit(10, NOW + 2 * MINUTE)
    expect(raised).toMatch(/^partition 3: 10 of 10 records .* only 0 records agree .* of offset 0, 179\.9 s after/)
  })

  it('proposes to limit the timestamps of the topic when the settings are safe', () => {
    watch(
      { outOfOrderness: '10s', maxFutureSkew: '5s' },
      { 'spec.window': { size: '1s' }, 'spec.allowedLateness': '0ms' },
    )
    watched.commit(1, NOW, 4 * SECOND, 20 * SECOND)
    watched.commit(1, NOW, 24 * SECOND, 20 * SECOND)
    watched.commit(10, NOW)
    expect(raised).toMatch(/limit how far ahead the topic accepts timestamps/)
  })

  it('reports no WatermarkFarAhead while all clocks are right, or about sales that arrive long after their event time', () => {
    watched.commit(100, NOW)
    watched.commit(1000, NOW + SECOND, -30 * MINUTE)
    expect(raised).toBeNull()
  })

  it('reports no WatermarkFarAhead when most records agree with the watermark', () => {
    for (let second = 0; second < 10; second++) {
      watched.commit(5, NOW + second * SECOND, 5 * MINUTE)
      watched.commit(5, NOW + second * SECOND)
    }
    expect(raised).toBeNull()
  })

  it('ends a minute after the last such event', () => {
    watched.commit(1, NOW, 5 * MINUTE)
    watched.commit(10, NOW + SECOND)
    expect(raised).not.toBeNull()
    watched.monitor.report(NOW + 62 * SECOND)
    expect(raised).toBeNull()
  })
})
