import { NodeSDK } from '@opentelemetry/sdk-node'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { createSpans } from '#processor/adapters/telemetry/spans.ts'
import { startTracing } from '#processor/adapters/telemetry/tracing.ts'
import type { TracedRecord } from '#processor/ports.ts'
import { commitOf, NOW, partitionCommit, plan, projectedRow } from './fixture.ts'

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

function traced(spanNumber: number, change: Partial<TracedRecord> = {}): TracedRecord {
  const spanId = spanNumber.toString(16).padStart(16, '0')
  return { traceparent: `00-${TRACE}-${spanId}-01`, partition: 0, offset: spanNumber, createdAt: NOW, ...change }
}

/** A commit that touches the first aggregation, from `endedAt` - 20 on. */
function commitAt(spans: ReturnType<typeof createSpans>, endedAt: number, records: TracedRecord[], count = 10) {
  const share = partitionCommit(0)
  const commit = commitOf({ ...share, counters: { ...share.counters, records: count } })
  const aggregates = [{ aggregation: 0, windowStart: [NOW], keys: [['a']], columns: [[1]] }]
  spans.committed({ ...commit, aggregates }, { startedAt: endedAt - 20, endedAt, traced: records })
}

const linkedSpans = (span: (typeof ended)[number]) => span.links.map(link => Number.parseInt(link.context.spanId, 16))

test('a batch is a trace of its own, linked to its records; its commit is a child', () => {
  commitAt(createSpans(plan, 'w'), NOW, [traced(1), traced(2)])
  const [process, commit] = ended
  expect(ended.map(span => span.name)).toEqual(['process sales', 'commit'])
  expect(process!.parentSpanContext).toBeUndefined()
  expect(process!.spanContext().traceId).not.toBe(TRACE)
  expect(linkedSpans(process!)).toEqual([1, 2])
  expect(commit!.parentSpanContext?.spanId).toBe(process!.spanContext().spanId)
})

test('a batch of one record goes on with that record’s trace', () => {
  commitAt(createSpans(plan, 'w'), NOW, [traced(7)], 1)
  const [process, commit] = ended
  expect(process!.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: '0000000000000007' })
  expect(linkedSpans(process!)).toEqual([7])
  expect(commit!.spanContext().traceId).toBe(TRACE)
})

test('there is no span without a sampled, well-formed traceparent', () => {
  const spans = createSpans(plan, 'w')
  const unusable = [
    '',
    'not a traceparent',
    `00-${TRACE}-0000000000000001-00`,
    `00-${TRACE}-0000000000000000-01`,
    `00-${'0'.repeat(32)}-0000000000000001-01`,
    `00-${TRACE.toUpperCase()}-0000000000000001-01`,
  ]
  commitAt(spans, NOW, [])
  commitAt(
    spans,
    NOW,
    unusable.map(traceparent => traced(1, { traceparent })),
  )
  expect(ended).toEqual([])
  commitAt(spans, NOW, [...unusable.map(traceparent => traced(1, { traceparent })), traced(3)])
  expect(linkedSpans(ended[0]!)).toEqual([3])
})

test('a projection links each commit that its snapshot can hold, once, with its records', () => {
  const spans = createSpans(plan, 'w')
  commitAt(spans, NOW, [traced(1)])
  commitAt(spans, NOW + 10, [traced(2)])
  const [first, , second] = ended.splice(0).map(span => Number.parseInt(span.spanContext().spanId, 16))
  const project = (startedAt: number, aggregation = 0) => {
    spans.projected([projectedRow(aggregation, NOW)], { startedAt, endedAt: startedAt + 1 })
    return ended.splice(0).map(span => [span.name, linkedSpans(span)])
  }
  expect(project(NOW + 20, 1)).toEqual([])
  expect(project(NOW + 5)).toEqual([['project sales-by-store', [first, 1]]])
  expect(project(NOW + 20)).toEqual([['project sales-by-store', [second, 2]]])
  expect(project(NOW + 30)).toEqual([])
})

test('links are bounded, the newest kept, while a projection is away', () => {
  const spans = createSpans(plan, 'w')
  for (let i = 1; i <= 500; i++) commitAt(spans, NOW + i, [traced(i)])
  commitAt(
    spans,
    NOW + 501,
    Array.from({ length: 300 }, (_, i) => traced(1000 + i)),
  )
  expect(linkedSpans(ended.at(-2)!)).toHaveLength(128)
  ended.length = 0
  spans.projected([projectedRow(0, NOW)], { startedAt: NOW + 600, endedAt: NOW + 601 })
  expect(linkedSpans(ended[0]!)).toHaveLength(128)
  expect(linkedSpans(ended[0]!).at(-1)).toBe(1299)
})

test('without an endpoint in the environment nothing is started', async () => {
  expect(await startTracing({ plan, worker: 'w', env: { OTEL_SERVICE_NAME: 'x' } })).toBeNull()
})
