/** Raw delay samples of the last seconds, for the live view's percentiles. Their number is bounded. */

const WINDOW_MS = 10_000
/** With one commit per 100 ms (the default), the ring holds 12.8 s of samples, a little more than the window. */
const SAMPLES_PER_COMMIT = 128
const CAPACITY = 16_384

export type Percentiles = { p50: number; p99: number; samples: number }

export class RecentDelays {
  readonly #at = new Float64Array(CAPACITY).fill(Number.NEGATIVE_INFINITY)
  readonly #delay = new Float64Array(CAPACITY)
  readonly #weight = new Float64Array(CAPACITY)
  #next = 0

  /** Keeps evenly spaced samples of `until - since[i]` (ms), each weighted by the records that it represents. */
  add(since: Float64Array, until: number): void {
    const stride = Math.ceil(since.length / SAMPLES_PER_COMMIT)
    for (let i = 0; i < since.length; i += stride) {
      const delay = until - since[i]!
      if (Number.isNaN(delay)) continue
      this.#at[this.#next] = until
      this.#delay[this.#next] = Math.max(0, delay)
      this.#weight[this.#next] = Math.min(stride, since.length - i)
      this.#next = (this.#next + 1) % CAPACITY
    }
  }

  /** Returns seconds, over the last 10 s before `now` (ms); null when nothing was measured in them. */
  percentiles(now: number): Percentiles | null {
    const recent = [...this.#at.keys()].filter(i => this.#at[i]! > now - WINDOW_MS)
    if (recent.length === 0) return null
    recent.sort((a, b) => this.#delay[a]! - this.#delay[b]!)
    const samples = recent.reduce((sum, i) => sum + this.#weight[i]!, 0)
    const quantile = (q: number) => {
      let below = 0
      return this.#delay[recent.find(i => (below += this.#weight[i]!) >= q * samples)!]! / 1000
    }
    return { p50: quantile(0.5), p99: quantile(0.99), samples }
  }
}
