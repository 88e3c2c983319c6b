/** The HTTP side of the ingest with a fake Kafka that keeps the records it receives. */
import { compileSpec } from '#pipeline/compiled-spec.ts'
import type { Spec } from '#pipeline/schema.ts'
import { createApp } from '#producer/serve/app.ts'
import { createMetrics } from '#producer/serve/metrics.ts'

export type FakeRecord = { key: string | null; value: string; traceparent: string | undefined }
export type Response = {
  status: number
  body: {
    error?: string
    faults?: { index?: number; field: string; message: string }[]
    accepted?: number
    offsets?: { partition: number; offset: number }[]
  }
}

export async function ingestApp(spec: Spec, options: { maxBodyBytes?: number; maxBatch?: number } = {}) {
  const records: FakeRecord[] = []
  const ingest = {
    async send(events: { key: string | null; bytes: Buffer }[], traceparent?: string) {
      for (const { key, bytes } of events) records.push({ key, value: bytes.toString(), traceparent })
      return events.map((_, i) => ({ partition: 0, offset: records.length - events.length + i }))
    },
    unready: async () => null,
  }
  const app = await createApp({
    compiled: compileSpec(spec),
    ingest,
    metrics: createMetrics('default/sales', () => 0),
    maxBodyBytes: options.maxBodyBytes ?? 1024 ** 2,
    maxBatch: options.maxBatch ?? 10_000,
    logLevel: 'silent',
  })
  return {
    app,
    records,
    async post(payload: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
      const response = await app.inject({
        method: 'POST',
        url: `/${spec.source.topic}`,
        payload,
        headers: { 'content-type': 'application/json', ...headers },
      })
      return { status: response.statusCode, body: response.json() }
    },
  }
}
