/** Limits how fast each client sends. Pure, apart from the clock. */

export type RateLimits = {
  /** Undefined: no limit. */
  requestsPerSecond?: number
  salesPerSecond?: number
  /** A client that was idle may send as much as the rate allows in this time at once, ms. */
  burstMs: number
}

type Kind = 'requests' | 'sales'
/** Levels are below zero after a large request: it passes, and the client waits until the debt is paid. */
type Bucket = { at: number } & Record<Kind, number>

/** Beyond this number of clients, the one that was quiet for longest is forgotten: its burst is then available again. */
const MAX_CLIENTS = 10_000

export class RateLimiter {
  readonly #rates: Record<Kind, number>
  readonly #burstSeconds: number
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  constructor({ requestsPerSecond, salesPerSecond, burstMs }: RateLimits, now = () => performance.now()) {
    this.#rates = { requests: requestsPerSecond ?? Infinity, sales: salesPerSecond ?? Infinity }
    this.#burstSeconds = burstMs / 1000
    this.#now = now
  }

  /** Counts a request. Returns 0, or the seconds to wait; then nothing is counted. */
  request(client: string): number {
    const bucket = this.#refilled(client)
    const wait = Math.max(this.#wait(bucket, 'requests'), this.#wait(bucket, 'sales'))
    if (wait === 0) bucket.requests--
    return wait
  }

  /** Counts sales, however many. Returns 0, or the seconds to wait if earlier ones are not paid; then nothing is counted. */
  sales(client: string, count: number): number {
    const bucket = this.#refilled(client)
    const wait = this.#wait(bucket, 'sales')
    if (wait === 0) bucket.sales -= count
    return wait
  }

  #refilled(client: string): Bucket {
    const now = this.#now()
    const known = this.#buckets.get(client)
    const bucket = known ?? { at: now, requests: Infinity, sales: Infinity }
    const seconds = (now - bucket.at) / 1000
    for (const kind of ['requests', 'sales'] as const) {
      const rate = this.#rates[kind]
      bucket[kind] = Math.min(Math.max(1, rate * this.#burstSeconds), bucket[kind] + rate * seconds)
    }
    bucket.at = now
    // The order of the map is that of the last use.
    this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    if (this.#buckets.size > MAX_CLIENTS) this.#buckets.delete(this.#buckets.keys().next().value!)
    return bucket
  }

  /** Returns the seconds until the level is positive, rounded up. */
  #wait(bucket: Bucket, kind: Kind): number {
    const isSpent = kind === 'requests' ? bucket.requests < 1 : bucket.sales <= 0
    if (!isSpent) return 0
    const missing = kind === 'requests' ? 1 - bucket.requests : 1 - bucket.sales
    return Math.max(1, Math.ceil(missing / this.#rates[kind]))
  }
}
