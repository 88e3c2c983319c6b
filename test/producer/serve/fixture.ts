/** The HTTP side of the ingest with a fake Kafka that keeps the records it receives. */
import { compileSpec } from '#pipeline/compiled-spec.ts'
import type { Spec } from '#pipeline/schema.ts'
import { type AppParts, createApp } from '#producer/serve/app.ts'
import { Budget } from '#producer/serve/budget.ts'
import { createMetrics } from '#producer/serve/metrics.ts'

/** Settings of startServe for tests. */
export const LIMITS = {
  host: '127.0.0.1',
  port: 0,
  maxBodyBytes: 1024 ** 2,
  maxBatch: 10_000,
  receiveWithinMs: 10_000,
  maxInFlightBytes: 64 * 1024 ** 2,
  answerWithinMs: 10_000,
  logLevel: 'silent',
}

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

type Options = Partial<Pick<AppParts, 'authenticate' | 'isPrivate' | 'tls' | 'rateLimits'>> & {
  /** Why Kafka cannot be reached. */
  unready?: string
  maxBodyBytes?: number
  maxBatch?: number
  maxInFlightBytes?: number
  receiveWithinMs?: number
}

export async function ingestApp(spec: Spec, options: Options = {}) {
  const budget = new Budget(options.maxInFlightBytes ?? 1024 ** 2)
  const records: FakeRecord[] = []
  const acknowledge = new Acknowledgements()
  const ingest = {
    async send(events: { key: string | null; bytes: Buffer }[], traceparent?: string) {
      await acknowledge.next()
      for (const { key, bytes } of events) records.push({ key, value: bytes.toString(), traceparent })
      return events.map((_, i) => ({ partition: 0, offset: records.length - events.length + i }))
    },
    unready: async () => options.unready ?? null,
  }
  const app = await createApp({
    compiled: compileSpec(spec),
    ingest,
    budget,
    metrics: createMetrics('default/sales', () => 0),
    authenticate: options.authenticate ?? null,
    tls: options.tls ?? null,
    rateLimits: options.rateLimits ?? null,
    isPrivate: options.isPrivate ?? false,
    maxBodyBytes: options.maxBodyBytes ?? 1024 ** 2,
    maxBatch: options.maxBatch ?? 10_000,
    receiveWithinMs: options.receiveWithinMs ?? 10_000,
    answerWithinMs: 10_000,
    logLevel: 'silent',
  })
  return {
    app,
    acknowledge,
    budget,
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

/** The fake Kafka acknowledges at once, except while it is paused. */
class Acknowledgements {
  waiting = 0
  #running = Promise.resolve()
  resume = () => {}

  pause(): void {
    this.#running = new Promise(resolve => {
      this.resume = resolve
    })
  }

  async next(): Promise<void> {
    this.waiting++
    await this.#running
    this.waiting--
  }
}
