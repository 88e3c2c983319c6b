/** Starts OpenTelemetry only if an OTLP endpoint is set, because loading the SDK costs about 0.3 s of CPU time. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Spans } from './spans.ts'

export type Tracing = Spans & {
  /** Sends pending spans for at most a second, because an unreachable collector must not delay a worker's exit. */
  shutdown(): Promise<void>
}

const FLUSH_MS = 1000

/**
 * Resolves with null when the environment has no OTLP endpoint. The SDK reads all standard OTEL_* variables itself. If
 * the endpoint does not answer, only spans are lost; nothing is thrown.
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
    // Metrics go to Prometheus and logs to stdout. By default the SDK would also send both to the collector.
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
