/**
 * Spans of the messaging and database conventions. A batch links to the creation contexts of its traced records; a
 * batch of one record has that record's context as parent too, and so continues the producer's own trace.
 */
import {
  type Context,
  context,
  type Link,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Plan } from '#pipeline/plan.ts'
import type { Commit, ProjectedRow, TracedRecord } from '../../ports.ts'
import type { Tracing } from './tracing.ts'

/** The SDK's own default limit of links per span. */
const MAX_LINKS = 128
const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/

type Times = { startedAt: number; endedAt: number }
/** What the next projection of an aggregation will show: a commit, and the traced records in it. */
type Committed = { endedAt: number; contexts: SpanContext[] }

export function createSpans(plan: Plan, worker: string): Pick<Tracing, 'committed' | 'projected'> {
  const tracer = trace.getTracer('sales-pipeline')
  const { topic } = plan.spec.source
  const indices = new Map(
    plan.spec.sinks.elasticsearch?.projections.map(p => [
      plan.aggregations.findIndex(a => a.name === p.aggregation),
      p.index,
    ]),
  )
  const unprojected = new Map<number, Committed[]>([...indices.keys()].map(aggregation => [aggregation, []]))

  return {
    committed(commit, info) {
      const created = info.traced
        .map(creationContext)
        .filter(c => c !== null)
        .slice(-MAX_LINKS)
      if (created.length === 0) return
      const processed = commitSpans(tracer, commit, created, info, { topic, worker })
      for (const { aggregation } of commit.aggregates) {
        const waiting = unprojected.get(aggregation)
        waiting?.push({ endedAt: info.endedAt, contexts: [processed, ...created] })
        if (waiting && waiting.length > MAX_LINKS) waiting.shift()
      }
    },
    projected(rows, info) {
      for (const [aggregation, count] of countByAggregation(rows)) {
        const waiting = unprojected.get(aggregation) ?? []
        // A commit that ended later was not in the snapshot that this projection read.
        const shown = waiting.filter(c => c.endedAt <= info.startedAt)
        if (shown.length === 0) continue
        unprojected.set(
          aggregation,
          waiting.filter(c => c.endedAt > info.startedAt),
        )
        const index = indices.get(aggregation)!
        const links = shown
          .flatMap(c => c.contexts)
          .slice(-MAX_LINKS)
          .map(linkTo)
        span(tracer, `project ${index}`, info, {
          kind: SpanKind.CLIENT,
          links,
          attributes: projectionAttributes(index, count),
        })
      }
    },
  }
}

/** `process <topic>` around `commit`. Answers the context of the first. */
function commitSpans(
  tracer: Tracer,
  commit: Commit,
  created: SpanContext[],
  info: Times,
  from: { topic: string; worker: string },
): SpanContext {
  const records = commit.partitions.reduce((sum, p) => sum + p.counters.records, 0)
  const parent = records === 1 ? trace.setSpanContext(context.active(), created[0]!) : context.active()
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
  return processed
}

function projectionAttributes(index: string, rows: number) {
  return {
    'db.system.name': 'elasticsearch',
    'db.operation.name': 'bulk',
    'db.collection.name': index,
    'db.operation.batch.size': rows,
  }
}

/** A span of the past, begun and ended at once. Dates, since the SDK takes small numbers for its monotonic clock. */
function span(tracer: Tracer, name: string, times: Times, options: SpanOptions, parent?: Context): SpanContext {
  const started = tracer.startSpan(name, { ...options, startTime: new Date(times.startedAt) }, parent)
  started.end(new Date(times.endedAt))
  return started.spanContext()
}

/** Null for a malformed traceparent and for one that says that nobody recorded its trace. */
function creationContext({ traceparent }: TracedRecord): SpanContext | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? []
  if (traceId === undefined) return null
  const created = { traceId, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16), isRemote: true }
  return trace.isSpanContextValid(created) && created.traceFlags & TraceFlags.SAMPLED ? created : null
}

function linkTo(to: SpanContext): Link {
  return { context: to }
}

function countByAggregation(rows: ProjectedRow[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { aggregation } of rows) counts.set(aggregation, (counts.get(aggregation) ?? 0) + 1)
  return counts
}
