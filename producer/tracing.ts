/** Starts traces of sampled sales. OpenTelemetry is only loaded if the environment sets an OTLP endpoint. */
import { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { serverText } from '#common/redact.ts'

/** One sampled send. `headers` carry its W3C context to the consumers of the record. */
export type SendSpan = {
  headers: Map<Buffer, Buffer>
  acknowledged(partition: number, offset: number): void
  failed(error: Error): void
}

export type Tracing = {
  /** Returns null for a send that is not sampled. */
  send(key: string | null): SendSpan | null
  /** Sends buffered spans for at most a second, so that an unavailable collector does not delay the exit. */
  shutdown(): Promise<void>
}

const FLUSH_MS = 1000

/** Resolves with null if the environment sets no OTLP endpoint. The SDK reads all standard OTEL_* variables. */
export async function startTracing(options: {
  topic: string
  clientId: string
  /** Fraction of sends that are traced, 0 to 1. */
  sampling: number
  env: NodeJS.ProcessEnv
}): Promise<Tracing | null> {
  const { env, sampling } = options
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return null
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const sdk = new NodeSDK({
    serviceName: env.OTEL_SERVICE_NAME ?? options.clientId,
    // Prometheus scrapes the metrics and logs go to stderr; without these lines the SDK would send both to the collector.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    send: key => (Math.random() < sampling ? startSend(options, key) : null),
    async shutdown() {
      const { promise: timeout, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, FLUSH_MS)
      await Promise.race([sdk.shutdown().catch(() => {}), timeout])
      clearTimeout(timer)
    },
  }
}

/** Starts a `send <topic>` span with the attributes of the messaging conventions. */
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
      span.setStatus({ code: SpanStatusCode.ERROR, message: serverText(error.message) })
      span.end()
    },
  }
}
