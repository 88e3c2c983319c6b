/** Gathers what the live view shows: from PostgreSQL, Kafka, the workers and the load generator. */
import { type Remaining, remaining } from './drain.ts'
import type { LoadGenerator } from './load.ts'
import { RateMeter } from './rate.ts'
import type { PipelineProgress, Results } from './results.ts'
import type { Topic } from './topic.ts'
import type { View } from './view.ts'
import type { Workers } from './workers.ts'

const TABLES = 2
const ROWS = 4

export type Observed = { results: Results; topic: Topic; workers: Workers; load: LoadGenerator | null }
export type Observation = Omit<View, 'name' | 'phase' | 'elapsedMs' | 'addresses' | 'news'>

export class Observer {
  readonly #observed: Observed
  readonly #sentRate = new RateMeter()
  readonly #committedRate = new RateMeter()

  constructor(observed: Observed) {
    this.#observed = observed
  }

  /** Resolves with what is known now; values from a server that does not respond are null or empty. */
  async observe(): Promise<Observation> {
    const { results, workers, load } = this.#observed
    const [progress, ends, tables, rows] = await Promise.all([
      results.progress().catch(() => null),
      this.#observed.topic.ends().catch(() => null),
      results.newest(TABLES, ROWS).catch(() => []),
      workers.poll(Date.now()),
    ])
    const now = Date.now()
    return {
      now,
      sending: load && { rate: this.#sentRate.at(load.statsAt, load.sent), sent: load.sent },
      committed: progress && { ...progress, rate: this.#committedRate.at(now, progress.records) },
      lag: progress && ends ? remaining(ends, progress).records : null,
      watermark: progress?.watermark ?? null,
      delay: slowest(workers),
      tables,
      workers: rows,
    }
  }

  /** Resolves with how much is left to drain, or with null when Kafka or PostgreSQL does not respond. */
  async remaining(): Promise<Remaining | null> {
    const { results, topic } = this.#observed
    try {
      // The log is read first: commits after that only make the rest smaller.
      const ends = await topic.ends()
      const progress: PipelineProgress = await results.progress()
      return remaining(ends, progress)
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
