/** Feeds the files of this folder to the engine's partition and to the verifier. Each line is one record. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { PartitionState } from '#processor/core/partition.ts'
import type { Share } from '#processor/core/pending.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { historyOf } from '#test/verify/support.ts'
import { type PartitionState as Counted, Recomputation } from '#verify/recompute.ts'
import { readDocument, readSpec, type Spec } from '#verify/spec.ts'

/** Timestamp of all records, ms. */
const RECEIVED = Date.UTC(2026, 10, 30, 13)

export type Parts = { event: object; aggregations?: object[]; deduplication?: object }

export function documentOf({ event, aggregations, deduplication }: Parts) {
  return {
    apiVersion: 'salespipeline.dev/v1alpha1',
    kind: 'SalesPipeline',
    metadata: { name: 'field' },
    spec: {
      source: { topic: 'sales' },
      event,
      window: { type: 'none' },
      watermark: { outOfOrderness: '87600h' },
      aggregations: aggregations ?? [{ name: 'all', measures: [{ name: 'orders', op: 'count' }] }],
      raw: { table: 'sales' },
      ...(deduplication ? { deduplication } : {}),
    },
  }
}

export function recordsOf(file: string): Buffer[] {
  const lines = readFileSync(join(import.meta.dirname, `${file}.jsonl`), 'utf8').split('\n')
  return lines.filter(Boolean).map(line => {
    const { value, base64 } = JSON.parse(line) as { value?: string; base64?: string }
    return value === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(value)
  })
}

/** Returns what the engine would commit. */
export function engineShare(file: string, parts: Parts): Share {
  const compiled = compileSpec(checkPipeline(documentOf(parts)).spec)
  const state = new PartitionState(firstClaim(), () => compiled)
  const records = recordsOf(file).map((value, delta) => ({ delta, timestamp: RECEIVED, key: null, value }))
  state.begin([])
  state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
  state.process()
  return state.freeze()
}

export type Verified = { spec: Spec; recomputation: Recomputation; counters: Counted }

export function verify(file: string, parts: Parts): Verified {
  const spec = readSpec(readDocument(JSON.stringify(documentOf(parts))))
  const recomputation = new Recomputation(spec, historyOf(spec))
  recordsOf(file).forEach((value, offset) => {
    recomputation.add({ partition: 0, offset, timestamp: RECEIVED, key: null, value, tooLarge: false })
  })
  return { spec, recomputation, counters: recomputation.partitions.get(0)! }
}
