/** The HTTP side alone, before a Kafka that keeps what it is sent. */
import { compileSpec } from '#pipeline/compiled-spec.ts'
import type { Spec } from '#pipeline/schema.ts'
import { createApp } from '#producer/serve/app.ts'
import { eventSchema } from '#producer/serve/event-schema.ts'
import { createMetrics } from '#producer/serve/metrics.ts'

export type Taken = { key: string | null; value: string; traceparent: string | undefined }
export type Answer = {
  status: number
  body: {
    error?: string
    faults?: { index?: number; field: string; message: string }[]
    accepted?: number
    offsets?: { partition: number; offset: number }[]
  }
}

export async function ingestApp(spec: Spec, options: { maxBodyBytes?: number } = {}) {
  const taken: Taken[] = []
  const ingest = {
    async send(events: { key: string | null; bytes: Buffer }[], traceparent?: string) {
      for (const { key, bytes } of events) taken.push({ key, value: bytes.toString(), traceparent })
      return events.map((_, i) => ({ partition: 0, offset: taken.length - events.length + i }))
    },
    unready: async () => null,
  }
  const app = await createApp({
    compiled: compileSpec(spec),
    schema: eventSchema(spec),
    ingest,
    metrics: createMetrics('default/sales', () => 0),
    maxBodyBytes: options.maxBodyBytes ?? 1024 ** 2,
    logLevel: 'silent',
  })
  return {
    app,
    taken,
    async post(payload: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
      const answer = await app.inject({
        method: 'POST',
        url: `/${spec.source.topic}`,
        payload,
        headers: { 'content-type': 'application/json', ...headers },
      })
      return { status: answer.statusCode, body: answer.json() }
    },
  }
}
