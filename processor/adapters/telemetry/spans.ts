/**
 * Spans by OpenTelemetry's messaging and database conventions, linked to the contexts of the traced records. A batch of
 * one record, and a projection that shows one traced sale, also have that context as parent, so that the trace of a
 * single sale continues to the sinks.
 */
import {
  type Context,
  context,
  type Link,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Commit } from '#processor/core/commit.ts'
import type { ProjectionWork } from '../../ports.ts'

/** The SDK's own default limit of links per span. */
const MAX_LINKS = 128

type Times = { startedAt: number; endedAt: number }

export type Spans = {
  committed(commit: Commit, times: Times): void
  projected(work: ProjectionWork, times: Times): void
}

export function createSpans(compiled: CompiledSpec, worker: string): Spans {
  const tracer = trace.getTracer('sales-pipeline')
  const { topic } = compiled.spec.source
  const indices = new Map(
    compiled.spec.sinks.elasticsearch?.projections.map(p => [
      compiled.aggregations.findIndex(a => a.name === p.aggregation),
      p.index,
    ]),
  )
  return {
    committed(commit, times) {
      const created = commit.traces.map(contextOf)
      if (created.length > 0) commitSpans(tracer, commit, created, times, { topic, worker })
    },
    projected({ rows, traces }, times) {
      for (const [aggregation, group] of Map.groupBy(traces, t => t.aggregation)) {
        const created = group.map(({ traceparent }) => contextOf(traceparent)).slice(-MAX_LINKS)
        const count = rows.reduce((sum, row) => sum + Number(row.aggregation === aggregation), 0)
        projectionSpan(tracer, indices.get(aggregation)!, created, times, count)
      }
    },
  }
}

/** Creates the spans `process <topic>` and, as its child, `commit`. */
function commitSpans(
  tracer: Tracer,
  commit: Commit,
  created: SpanContext[],
  info: Times,
  from: { topic: string; worker: string },
): void {
  const records = commit.partitions.reduce((sum, p) => sum + p.counters.records, 0)
  const parent = parentOf(records === 1 ? created : [])
  const options = {
    kind: SpanKind.CONSUMER,
    links: created.map(linkTo),
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': from.topic,
      'messaging.client.id': from.worker,
      'messaging.batch.message_count': records,
    },
  }
  const processed = span(tracer, `process ${from.topic}`, info, options, parent)
  const rows = commit.aggregates.reduce((sum, a) => sum + a.windowStart.length, 0)
  const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': 'COMMIT', 'salespipeline.rows': rows }
  span(tracer, 'commit', info, { kind: SpanKind.CLIENT, attributes }, trace.setSpanContext(parent, processed))
}

function projectionSpan(tracer: Tracer, index: string, created: SpanContext[], times: Times, rows: number): void {
  const attributes = {
    'db.system.name': 'elasticsearch',
    'db.operation.name': 'bulk',
    'db.collection.name': index,
    'db.operation.batch.size': rows,
  }
  const options = { kind: SpanKind.CLIENT, links: created.map(linkTo), attributes }
  span(tracer, `project ${index}`, times, options, parentOf(created))
}

/** With exactly one context, a span continues its trace; otherwise it starts a new one. */
function parentOf(created: SpanContext[]): Context {
  return created.length === 1 ? trace.setSpanContext(context.active(), created[0]!) : context.active()
}

/** Records a span in the past. Times are Dates, because the SDK takes small numbers for its monotonic clock. */
function span(tracer: Tracer, name: string, times: Times, options: SpanOptions, parent?: Context): SpanContext {
  const started = tracer.startSpan(name, { ...options, startTime: new Date(times.startedAt) }, parent)
  started.end(new Date(times.endedAt))
  return started.spanContext()
}

function contextOf(traceparent: string): SpanContext {
  const [, traceId, spanId, flags] = traceparent.split('-')
  return { traceId: traceId!, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16), isRemote: true }
}

function linkTo(to: SpanContext): Link {
  return { context: to }
}
