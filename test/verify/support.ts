/** A minimal pipeline, and helpers that run the verifier's recomputation on hand-written records. */
import { type History, type LogRecord, Recomputation } from '#verify/recompute.ts'
import { readSpec, type Spec, type WrittenDocument } from '#verify/spec.ts'

type WrittenSpec = WrittenDocument['spec']

/** One-minute windows of sales by category; times are epoch milliseconds. */
export const BASE: WrittenSpec = {
  source: { topic: 'sales' },
  event: {
    time: { path: 'at', format: 'epoch' },
    fields: [
      { name: 'category', default: 'none' },
      { name: 'amount', type: 'decimal', default: '1' },
    ],
  },
  window: { size: '60s' },
  watermark: { outOfOrderness: '0ms', maxFutureSkew: '1d' },
  aggregations: [
    {
      name: 'summary',
      groupBy: ['category'],
      measures: [
        { name: 'revenue', op: 'sum', of: 'amount' },
        { name: 'orders', op: 'count' },
      ],
    },
  ],
}

export function specOf(changes: Partial<WrittenSpec> = {}): Spec {
  return readSpec({ metadata: { name: 'shop' }, spec: { ...BASE, ...changes } })
}

/** Returns a history of one generation from offset 0 on, with `changes`. */
export function historyOf(spec: Spec, changes: Partial<History> = {}): History {
  const generations = [{ number: 1, rules: spec.rules }]
  return { stretches: new Map(), generations, introduced: new Map(), topicId: 'topic', rejected: new Map(), ...changes }
}

/** Returns a record of partition 0 whose value is the given text, or the object as JSON. */
export function record(offset: number, value: string | Buffer | object | null, timestamp = 0): LogRecord {
  const bytes =
    value === null || Buffer.isBuffer(value)
      ? value
      : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return { partition: 0, offset, timestamp, key: null, value: bytes, tooLarge: false }
}

/** Recomputes records at offsets 0, 1, … of partition 0. */
export function recompute(spec: Spec, values: (string | object | null)[], history = historyOf(spec)): Recomputation {
  const recomputation = new Recomputation(spec, history)
  values.forEach((value, offset) => {
    recomputation.add(record(offset, value))
  })
  return recomputation
}

/** Returns the rows of a table as arrays: key cells, then value cells. */
export function rowsOf(table: { rows: Map<string, string> }): unknown[][] {
  return [...table.rows].map(([key, values]) => [...JSON.parse(key), ...JSON.parse(values)])
}

/** Returns the rows of the spec's first aggregation. */
export function aggregated(spec: Spec, recomputation: Recomputation): unknown[][] {
  return rowsOf(recomputation.aggregationTable(spec.rules.aggregations[0]!))
}
