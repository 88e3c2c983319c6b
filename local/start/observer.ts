/** Gathers what the live view shows: from PostgreSQL, Kafka, the workers and the load generator. */

import { type Remaining, remaining } from './drain.ts'
import type { LoadGenerator } from './load.ts'
import { RateMeter } from './rate.ts'
import type { Results, Standing } from './results.ts'
import type { Topic } from './topic.ts'
import type { View } from './view.ts'
import type { Workers } from './workers.ts'

const TABLES = 2
const ROWS = 4

export type Observed = { results: Results; topic: Topic; workers: Workers; load: LoadGenerator | null }
export type Observation = Omit<View, 'name' | 'phase' | 'elapsedMs' | 'addresses' | 'news'>

export class Observer {
  readonly #observed: Observed
  readonly #in = new RateMeter()
  readonly #out = new RateMeter()

  constructor(observed: Observed) {
    this.#observed = observed
  }

  /** Whatever does not answer is left out. */
  async look(): Promise<Observation> {
    const { results, workers, load } = this.#observed
    const [standing, ends, tables, rows] = await Promise.all([
      results.standing().catch(() => null),
      this.#observed.topic.ends().catch(() => null),
      results.newest(TABLES, ROWS).catch(() => []),
      workers.look(Date.now()),
    ])
    const now = Date.now()
    return {
      now,
      sending: load && { rate: this.#in.at(load.heardAt, load.sent), sent: load.sent },
      committed: standing && { ...standing, rate: this.#out.at(now, standing.records) },
      lag: standing && ends ? remaining(ends, standing).records : null,
      watermark: standing?.watermark ?? null,
      delay: slowest(workers),
      tables,
      workers: rows,
    }
  }

  /** How much is left to drain; null when Kafka or PostgreSQL does not answer. */
  async remaining(): Promise<Remaining | null> {
    const { results, topic } = this.#observed
    try {
      // The log first: what is committed later only makes the rest smaller.
      const ends = await topic.ends()
      const standing: Standing = await results.standing()
      return remaining(ends, standing)
    } catch {
      return null
    }
  }
}

function slowest(workers: Workers): View['delay'] {
  const delays = workers.statuses().flatMap(({ endToEndDelay }) => endToEndDelay ?? [])
  if (delays.length === 0) return null
  return { p50: Math.max(...delays.map(d => d.p50)), p99: Math.max(...delays.map(d => d.p99)) }
}
