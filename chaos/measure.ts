/** Computes what users of the results observed (pauses, lag, delay) from counters of workers that start and exit. */
import type { Buckets, Reading } from './scrape.ts'

/** The pipeline at one moment. Totals are increments since the run began, summed over all workers that ever ran. */
export type Tick = {
  /** ms since the epoch. */
  at: number
  /** Null while the lag of any partition is unknown. */
  lag: number | null
  /** Rows that wait to be projected. */
  pending: number
  /** Committed records by partition. */
  records: Record<number, number>
  /** Counts per bucket, cumulative over the bounds. */
  delay: number[]
  projection: number[]
  ready: number
}

/** Older readings of a worker are not used for lag and pending rows. */
const FRESH_MS = 1500

/**
 * Sums increments. Workers that exist at the start count from their values then, later ones from 0. What a killed worker
 * counted after its last reading is missing: those records were committed, so its successor does not count them again.
 */
export class Totals {
  readonly #last = new Map<string, { reading: Reading; at: number }>()
  readonly #records = new Map<number, number>()
  #delay: number[] = []
  #projection: number[] = []
  #bounds: number[] = []

  /** Sets the start values of all workers. Must be called first, once. */
  begin(readings: Reading[], at: number): void {
    for (const reading of readings) this.#last.set(keyOf(reading), { reading, at })
    for (const { records } of readings) for (const partition of records.keys()) this.#records.set(partition, 0)
    this.#bounds = readings[0]!.delay.bounds
    this.#delay = this.#bounds.map(() => 0)
    this.#projection = this.#bounds.map(() => 0)
  }

  /** Upper bounds of the histograms' buckets, in seconds. */
  get bounds(): number[] {
    return this.#bounds
  }

  add(reading: Reading, at: number): void {
    const before = this.#last.get(keyOf(reading))?.reading
    for (const [partition, count] of reading.records) {
      const more = count - (before?.records.get(partition) ?? 0)
      this.#records.set(partition, (this.#records.get(partition) ?? 0) + more)
    }
    this.#delay = added(this.#delay, reading.delay, before?.delay)
    this.#projection = added(this.#projection, reading.projection, before?.projection)
    this.#last.set(keyOf(reading), { reading, at })
  }

  tick(at: number, ready: number): Tick {
    const fresh = [...this.#last.values()].filter(last => at - last.at <= FRESH_MS).map(({ reading }) => reading)
    const pending = Math.max(0, ...fresh.map(reading => reading.pending))
    const records = Object.fromEntries(this.#records)
    return { at, lag: lagOf(fresh), pending, records, delay: this.#delay, projection: this.#projection, ready }
  }
}

/** Returns null unless the lag of every partition is known. If two workers report a partition, the greater lag counts. */
function lagOf(fresh: Reading[]): number | null {
  const partitions = Math.max(0, ...fresh.map(({ topicPartitions }) => topicPartitions))
  const lags = new Map<number, number>()
  for (const { lag } of fresh)
    for (const [partition, waiting] of lag) lags.set(partition, Math.max(waiting, lags.get(partition) ?? 0))
  return partitions > 0 && lags.size >= partitions ? sum(lags.values()) : null
}

const keyOf = ({ pod, startedAt }: Reading) => `${pod}/${startedAt}`

function added(totals: number[], { counts }: Buckets, before: Buckets | undefined): number[] {
  return totals.map((total, i) => total + counts[i]! - (before?.counts[i] ?? 0))
}

export type Window = { from: number; to: number }

const partitionsOf = (ticks: Tick[]) => Object.keys(ticks.at(-1)?.records ?? {}).map(Number)
const ofPartition =
  (partition: number) =>
  ({ records }: Tick) =>
    records[partition] ?? 0
const ofAll = ({ records }: Tick) => sum(Object.values(records))

/** Records per second. */
export function rateIn(ticks: Tick[], window: Window): number {
  const [first, last] = [startOf(ticks, window), ticks.findLast(({ at }) => at <= window.to)]
  if (!first || !last || last.at === first.at) return 0
  return ((ofAll(last) - ofAll(first)) * 1000) / (last.at - first.at)
}

/** Returns the longest time, in ms, in which no record was committed. */
export const standstill = (ticks: Tick[], window: Window) => longestPause(ticks, window, ofAll)

/** Returns the longest time, in ms, in which one partition committed no record. */
export function worstStandstill(ticks: Tick[], window: Window): number {
  return Math.max(0, ...partitionsOf(ticks).map(partition => longestPause(ticks, window, ofPartition(partition))))
}

/** Returns for how long, in ms, a partition has not committed a record, up to the last tick. */
export function idleFor(ticks: Tick[], partition: number): number {
  const count = ofPartition(partition)
  const now = ticks.at(-1)!
  const lastLess = ticks.findLastIndex(tick => count(tick) < count(now))
  return now.at - ticks[lastLess + 1]!.at
}

/** Returns the partitions whose longest pause is at most `longestMs`, with that pause. */
export function steadyPartitions(ticks: Tick[], window: Window, longestMs: number): Map<number, number> {
  const pauses = partitionsOf(ticks).map(p => [p, longestPause(ticks, window, ofPartition(p))] as const)
  return new Map(pauses.filter(([, pause]) => pause <= longestMs))
}

/** A pause may begin before the window. Without further growth it lasts to the end of the window. */
function longestPause(ticks: Tick[], { from, to }: Window, count: (tick: Tick) => number): number {
  const growths = ticks.filter((tick, i) => i > 0 && count(tick) > count(ticks[i - 1]!)).map(({ at }) => at)
  const before = growths.findLast(at => at <= from) ?? from
  const moments = [before, ...growths.filter(at => at > from && at <= to), to]
  return Math.max(...moments.slice(1).map((at, i) => at - moments[i]!))
}

/** Returns null if the lag was never known in the window. */
export function peakLag(ticks: Tick[], window: Window): number | null {
  const known = within(ticks, window).flatMap(({ lag }) => (lag === null ? [] : [lag]))
  return known.length === 0 ? null : Math.max(...known)
}

/** In seconds, Infinity beyond the last finite bound. `max` is the upper bound of the last bucket that is not empty. */
export type Delay = { p50: number; p99: number; max: number; samples: number }

export function delayIn(
  ticks: Tick[],
  bounds: number[],
  window: Window,
  series: 'delay' | 'projection' = 'delay',
): Delay | null {
  const last = ticks.findLast(({ at }) => at <= window.to)
  const first = startOf(ticks, window)
  if (!first || !last) return null
  return delayOf(
    bounds,
    last[series].map((count, i) => count - first[series][i]!),
  )
}

/** Exported for tests. `counts` are cumulative over the bounds, the last is Infinity. Returns null without samples. */
export function delayOf(bounds: number[], counts: number[]): Delay | null {
  const samples = counts.at(-1) ?? 0
  if (samples === 0) return null
  const max = bounds[counts.indexOf(samples)]!
  return { p50: quantile(0.5, bounds, counts), p99: quantile(0.99, bounds, counts), max, samples }
}

/** Interpolates within a bucket, as Prometheus does. Returns Infinity for values beyond the last finite bound. */
function quantile(q: number, bounds: number[], counts: number[]): number {
  const rank = q * counts.at(-1)!
  const i = counts.findIndex(count => count >= rank)
  const [low, below] = i === 0 ? [0, 0] : [bounds[i - 1]!, counts[i - 1]!]
  if (bounds[i] === Infinity) return Infinity
  const inBucket = counts[i]! - below
  if (inBucket === 0) return low
  // Rounding must not exceed the bucket.
  return Math.min(bounds[i]!, low + ((bounds[i]! - low) * (rank - below)) / inBucket)
}

const within = (ticks: Tick[], { from, to }: Window) => ticks.filter(({ at }) => at >= from && at <= to)
/** Returns the last tick before the window. */
const startOf = (ticks: Tick[], { from }: Window) => ticks.findLast(({ at }) => at <= from) ?? ticks[0]

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
