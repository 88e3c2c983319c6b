import { expect, onTestFinished, test, vi } from 'vitest'
import { createTelemetry } from '#processor/adapters/telemetry/telemetry.ts'
import { startTracing } from '#processor/adapters/telemetry/tracing.ts'
import {
  clock,
  commitOf,
  compiled,
  infoOf,
  NOW,
  partitionCommit,
  projectedRow,
  workOf,
} from '#test/processor/telemetry/fixture.ts'
import { startCollector } from '#test/support/otelcol/collector.ts'

/** Ids from the W3C recommendation's examples. */
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const KIND = { client: 3, consumer: 5 }
/** A cold build of the collector compiles some hundreds of Go packages. */
const BUILD_MS = 900_000

test(
  'exports the commit and the projection to a real collector, linked to the producer’s trace',
  async () => {
    const collector = await startCollector()
    onTestFinished(async () => {
      vi.unstubAllEnvs()
      await collector.stop()
    })
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.endpoint)
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment.name=test')
    const tracing = await startTracing({ compiled, worker: 'worker-1', env: process.env })
    const options = {
      pipeline: 'default/sales',
      worker: 'worker-1',
      compiled,
      clock,
      logLevel: 'silent' as const,
      tracing,
    }
    const telemetry = createTelemetry(options)

    const traceparent = `00-${TRACE}-${SPAN}-01`
    const rows = { aggregation: 0, windowStart: [NOW, NOW], keys: [['a', 'b']], columns: [[1, 2]] }
    telemetry.committed(
      { ...commitOf(partitionCommit(0)), aggregates: [rows], traces: [traceparent] },
      infoOf([NOW - 50]),
    )
    telemetry.projected({ ...workOf(projectedRow(0, NOW)), traces: [{ aggregation: 0, traceparent }] }, 0, {
      startedAt: NOW + 5,
      endedAt: NOW + 80,
    })
    await telemetry.close()

    const spans = new Map((await collector.finish()).map(span => [span.name, span]))
    expect([...spans.keys()].sort()).toEqual(['commit', 'process sales', 'project sales-by-store'])
    const processed = spans.get('process sales')!
    expect(processed).toMatchObject({
      kind: KIND.consumer,
      parentSpanId: '',
      links: [{ traceId: TRACE, spanId: SPAN }],
      startedAt: NOW - 30,
      endedAt: NOW,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'sales',
        'messaging.batch.message_count': '10',
        'messaging.client.id': 'worker-1',
      },
      resource: { 'service.name': 'sales-pipeline-worker', 'deployment.environment.name': 'test' },
    })
    expect(spans.get('commit')).toMatchObject({
      kind: KIND.client,
      traceId: processed.traceId,
      parentSpanId: processed.spanId,
      attributes: { 'db.system.name': 'postgresql', 'salespipeline.rows': '2' },
    })
    expect(spans.get('project sales-by-store')).toMatchObject({
      kind: KIND.client,
      startedAt: NOW + 5,
      endedAt: NOW + 80,
      traceId: TRACE,
      parentSpanId: SPAN,
      links: [{ traceId: TRACE, spanId: SPAN }],
      attributes: { 'db.system.name': 'elasticsearch', 'db.collection.name': 'sales-by-store' },
    })
  },
  BUILD_MS,
)
