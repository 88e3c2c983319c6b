/** Traces of sampled sales from where they are sent. OpenTelemetry is loaded only where an OTLP endpoint is named. */
import { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

/** One sampled send. `headers` carry its W3C context to whoever reads the record. */
export type SendSpan = {
  headers: Map<Buffer, Buffer>
  acknowledged(partition: number, offset: number): void
  failed(error: Error): void
}

export type Tracing = {
  /** Null for a send that is not sampled. */
  send(key: string | null): SendSpan | null
  /** Sends what waits, for at most a second: a collector that is away must not hold up a process that leaves. */
  shutdown(): Promise<void>
}

const FLUSH_MS = 1000

/** Null when the environment names no OTLP endpoint. The SDK itself honours all standard OTEL_* variables. */
export async function startTracing(options: {
  topic: string
  clientId: string
  /** Share of sends that are traced, 0 to 1. */
  sampling: number
  env: NodeJS.ProcessEnv
}): Promise<Tracing | null> {
  const { env, sampling } = options
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return null
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const sdk = new NodeSDK({
    serviceName: env.OTEL_SERVICE_NAME ?? options.clientId,
    // Metrics are Prometheus' and logs stderr's: without these the SDK would send its own of both to the collector.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    send: key => (Math.random() < sampling ? startSend(options, key) : null),
    async shutdown() {
      const { promise: tooLong, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, FLUSH_MS)
      await Promise.race([sdk.shutdown().catch(() => {}), tooLong])
      clearTimeout(timer)
    },
  }
}

/** A `send <topic>` span by the messaging conventions. */
function startSend({ topic, clientId }: { topic: string; clientId: string }, key: string | null): SendSpan {
  const span = trace.getTracer('sales-pipeline').startSpan(`send ${topic}`, {
    kind: SpanKind.PRODUCER,
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.client.id': clientId,
      ...(key !== null && { 'messaging.kafka.message.key': key }),
    },
  })
  const headers = new Map<Buffer, Buffer>()
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers, {
    set: (carrier, name, value) => carrier.set(Buffer.from(name), Buffer.from(value)),
  })
  return {
    headers,
    acknowledged(partition, offset) {
      span.setAttributes({ 'messaging.destination.partition.id': `${partition}`, 'messaging.kafka.offset': offset })
      span.end()
    },
    failed(error) {
      span.setAttribute('error.type', error.name)
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
      span.end()
    },
  }
}
