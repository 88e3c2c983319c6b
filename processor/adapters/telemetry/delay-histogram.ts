/** A Prometheus histogram that counts all records of a commit in one call: one tight loop instead of 200,000 calls. */
import type { Histogram, Registry } from 'prom-client'

/** Upper bounds in ms. They include the service levels (0.2 s, 0.3 s, 1 s, 5 s), so that these can be read exactly. */
export const DELAY_BOUNDS_MS = [10, 25, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

const LAST_BOUND = DELAY_BOUNDS_MS.at(-1)!
/** The bucket of each delay, rounded up to whole ms. This takes 5–11 ns per record, where a search takes 15–25 ns. */
const BUCKET_OF = Uint8Array.from({ length: LAST_BOUND + 1 }, (_, ms) => DELAY_BOUNDS_MS.findIndex(b => ms <= b))

/** Counts delays in ms; prom-client sees it as a histogram in seconds. */
export class DelayHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  /** One count per bound, not cumulative, and one for all delays above the last bound. */
  readonly #counts = new Float64Array(DELAY_BOUNDS_MS.length + 1)
  #sumMs = 0

  constructor(registry: Registry, name: string, help: string) {
    this.name = name
    this.help = help
    // The registry only uses name, help, type and get(), although its type demands one of prom-client's classes.
    registry.registerMetric(this as unknown as Histogram)
  }

  /** Counts `until - since[i]` for each i (all in ms). Negative delays count as 0; NaN is skipped. */
  observe(since: Float64Array, until: number): void {
    const counts = this.#counts
    let sum = 0
    for (let i = 0; i < since.length; i++) {
      const delay = Math.max(0, until - since[i]!)
      if (Number.isNaN(delay)) continue
      counts[delay > LAST_BOUND ? DELAY_BOUNDS_MS.length : BUCKET_OF[Math.ceil(delay)]!]!++
      sum += delay
    }
    this.#sumMs += sum
  }

  /** Returns the values for prom-client's registry, which calls this at each scrape. */
  async get() {
    const { name, help, type, aggregator } = this
    let count = 0
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = []
    this.#counts.forEach((inBucket, i) => {
      count += inBucket
      const le = i < DELAY_BOUNDS_MS.length ? DELAY_BOUNDS_MS[i]! / 1000 : '+Inf'
      values.push({ metricName: `${name}_bucket`, labels: { le }, value: count })
    })
    values.push({ metricName: `${name}_sum`, labels: {}, value: this.#sumMs / 1000 })
    values.push({ metricName: `${name}_count`, labels: {}, value: count })
    return { name, help, type, aggregator, values }
  }
}
