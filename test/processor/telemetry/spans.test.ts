import { NodeSDK } from '@opentelemetry/sdk-node'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { createSpans } from '#processor/adapters/telemetry/spans.ts'
import { startTracing } from '#processor/adapters/telemetry/tracing.ts'
import { commitOf, compiled, NOW, partitionCommit, projectedRow } from './fixture.ts'

type SpanProcessor = NonNullable<NonNullable<ConstructorParameters<typeof NodeSDK>[0]>['spanProcessors']>[number]
const ended: Parameters<SpanProcessor['onEnd']>[0][] = []
const collect: SpanProcessor = {
  onStart: () => {},
  onEnd: span => void ended.push(span),
  forceFlush: async () => {},
  shutdown: async () => {},
}
const sdk = new NodeSDK({ spanProcessors: [collect], metricReaders: [], logRecordProcessors: [] })
sdk.start()
afterAll(() => sdk.shutdown())
beforeEach(() => void (ended.length = 0))

const TRACE = '0af7651916cd43dd8448eb211c80319c'

const traced = (spanNumber: number) => `00-${TRACE}-${spanNumber.toString(16).padStart(16, '0')}-01`

/** Reports a commit that touches the first aggregation and took 20 ms. */
function commitAt(spans: ReturnType<typeof createSpans>, endedAt: number, traces: string[], count = 10) {
  const share = partitionCommit(0)
  const commit = commitOf({ ...share, counters: { ...share.counters, records: count } })
  const aggregates = [{ aggregation: 0, windowStart: [NOW], keys: [['a']], columns: [[1]] }]
  spans.committed({ ...commit, aggregates, traces }, { startedAt: endedAt - 20, endedAt })
}

const linkedSpans = (span: (typeof ended)[number]) => span.links.map(link => Number.parseInt(link.context.spanId, 16))

it('starts a new trace for a batch, with links to its records and the commit as child', () => {
  commitAt(createSpans(compiled, 'w'), NOW, [traced(1), traced(2)])
  const [process, commit] = ended
  expect(ended.map(span => span.name)).toEqual(['process sales', 'commit'])
  expect(process!.parentSpanContext).toBeUndefined()
  expect(process!.spanContext().traceId).not.toBe(TRACE)
  expect(linkedSpans(process!)).toEqual([1, 2])
  expect(commit!.parentSpanContext?.spanId).toBe(process!.spanContext().spanId)
})

it('continues a record’s trace for a batch of one record', () => {
  commitAt(createSpans(compiled, 'w'), NOW, [traced(7)], 1)
  const [process, commit] = ended
  expect(process!.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: '0000000000000007' })
  expect(linkedSpans(process!)).toEqual([7])
  expect(commit!.spanContext().traceId).toBe(TRACE)
})

it('creates no span when no record is traced', () => {
  const spans = createSpans(compiled, 'w')
  commitAt(spans, NOW, [])
  spans.projected({ entries: [1n], rows: [projectedRow(0, NOW)], traces: [] }, { startedAt: NOW, endedAt: NOW + 1 })
  expect(ended).toEqual([])
})

/** Reports a projection of one row per aggregation, which shows these sales for the first time. */
function project(...shown: [aggregation: number, spanNumber: number][]) {
  const traces = shown.map(([aggregation, n]) => ({ aggregation, traceparent: traced(n) }))
  const rows = [projectedRow(0, NOW), projectedRow(1, NOW)]
  createSpans(compiled, 'w').projected({ entries: [1n], rows, traces }, { startedAt: NOW, endedAt: NOW + 1 })
  return ended.splice(0)
}

it('creates one span per projected index, with links to the sales that it shows', () => {
  const [span, ...others] = project([0, 1], [0, 2])
  expect(others).toEqual([])
  expect(span!.name).toBe('project sales-by-store')
  expect(linkedSpans(span!)).toEqual([1, 2])
  expect(span!.parentSpanContext).toBeUndefined()
  expect(span!.attributes['db.operation.batch.size']).toBe(1)
})

it('continues a sale’s trace for a projection of that one sale', () => {
  const [span] = project([0, 7])
  expect(span!.spanContext().traceId).toBe(TRACE)
  expect(span!.parentSpanContext?.spanId).toBe('0000000000000007')
})

it('keeps only the newest 128 links of a span', () => {
  const [span] = project(...Array.from({ length: 300 }, (_, i): [number, number] => [0, i + 1]))
  expect(linkedSpans(span!)).toHaveLength(128)
  expect(linkedSpans(span!).at(-1)).toBe(300)
})

it('starts no tracing without an endpoint in the environment', async () => {
  expect(await startTracing({ compiled, worker: 'w', env: { OTEL_SERVICE_NAME: 'x' } })).toBeNull()
})
