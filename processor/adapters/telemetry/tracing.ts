/** Starts OpenTelemetry, only where an OTLP endpoint is named: loading the SDK costs about 0.3 CPU s of start-up. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Spans } from './spans.ts'

export type Tracing = Spans & {
  /** Sends what waits, for at most a second: a collector that is away must not hold up a worker that leaves. */
  shutdown(): Promise<void>
}

const FLUSH_MS = 1000

/**
 * Null when the environment names no OTLP endpoint. All standard OTEL_* variables are honoured, by the SDK itself. Never
 * throws for an endpoint that does not answer: spans are then lost, nothing else.
 */
export async function startTracing(options: {
  compiled: CompiledSpec
  worker: string
  env: Record<string, string | undefined>
}): Promise<Tracing | null> {
  const { compiled, worker, env } = options
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return null
  const [{ NodeSDK }, { createSpans }] = await Promise.all([import('@opentelemetry/sdk-node'), import('./spans.ts')])
  const sdk = new NodeSDK({
    serviceName: env.OTEL_SERVICE_NAME ?? 'sales-pipeline-worker',
    // Metrics are Prometheus' and logs stdout's: without these the SDK would send its own of both to the collector.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    ...createSpans(compiled, worker),
    async shutdown() {
      const { promise: tooLong, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, FLUSH_MS)
      await Promise.race([sdk.shutdown().catch(() => {}), tooLong])
      clearTimeout(timer)
    },
  }
}
