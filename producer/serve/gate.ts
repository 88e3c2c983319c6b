/** Admits requests before their body is read: finds the client, and applies its rate limits. */
import type { FastifyRequest } from 'fastify'
import type { Authenticate } from './auth/authenticate.ts'
import type { IngestMetrics } from './metrics.ts'
import { RateLimiter, type RateLimits } from './rate-limit.ts'
import { tryLater } from './refusal.ts'

/** Name of the client, or null: then its address identifies it. */
type Client = { name: string | null; key: string }

export type GateParts = {
  authenticate: Authenticate | null
  rateLimits: RateLimits | null
  metrics: Pick<IngestMetrics, 'throttled'>
}

export class Gate {
  readonly #parts: GateParts
  readonly #limiter: RateLimiter | null
  readonly #clients = new WeakMap<FastifyRequest, Client>()
  readonly #throttled = new WeakSet<FastifyRequest>()

  constructor(parts: GateParts) {
    this.#parts = parts
    this.#limiter = parts.rateLimits && new RateLimiter(parts.rateLimits)
  }

  /** Rejects with Refusal: 401, 429, or 503 while a token cannot be verified. */
  async enter(request: FastifyRequest): Promise<void> {
    const { authenticate } = this.#parts
    const name = authenticate ? await authenticate(request.raw) : null
    if (!this.#limiter) return
    const client = { name, key: name === null ? `address ${request.ip}` : `name ${name}` }
    this.#clients.set(request, client)
    this.#refuse(request, client, this.#limiter.request(client.key), 'requests')
  }

  /** Throws Refusal with status 429. */
  countSales(request: FastifyRequest, count: number): void {
    const client = this.#clients.get(request)
    if (client) this.#refuse(request, client, this.#limiter!.sales(client.key, count), 'sales')
  }

  /** Returns whether the request was refused because of its client's limits, and not because of the load of the ingest. */
  isThrottled(request: FastifyRequest): boolean {
    return this.#throttled.has(request)
  }

  #refuse(request: FastifyRequest, { name }: Client, wait: number, what: string): void {
    if (wait === 0) return
    this.#throttled.add(request)
    this.#parts.metrics.throttled(name)
    const who = name === null ? 'this address' : `client ${name}`
    throw tryLater(
      429,
      `${who} sends too many ${what} per second; nothing was sent. Send the request again later`,
      wait,
    )
  }
}
