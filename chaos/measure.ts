/** From counters of workers that come and go to what users of the results saw: standstills, lag, delays. */

import type { Buckets, Reading } from './scrape.ts'

/** The pipeline at one moment. Totals are increments since the run began, summed over all workers that ever ran. */
export type Tick = {
  /** ms since the epoch. */
  at: number
  /** Null while the lag of some partition is not known. */
  lag: number | null
  /** Rows that wait for the projection. */
  pending: number
  /** Committed records by partition. */
  records: Record<number, number>
  /** By bucket, cumulative over bounds. */
  delay: number[]
  projection: number[]
  ready: number
}

/** What a worker said longer ago is not known any more. */
const FRESH_MS = 1500

/**
 * Sums increments: a worker that was there at the start counts from what it had then, a later one from 0. What a killed
 * worker counted after it was last asked is lost; its records were committed, so whoever goes on begins behind them.
 */
export class Totals {
  readonly #last = new Map<string, { reading: Reading; at: number }>()
  readonly #records = new Map<number, number>()
  #delay: number[] = []
  #projection: number[] = []
  #bounds: number[] = []

  /** Of every worker, once, before anything else. */
  begin(readings: Reading[], at: number): void {
    for (const reading of readings) this.#last.set(keyOf(reading), { reading, at })
    for (const { records } of readings) for (const partition of records.keys()) this.#records.set(partition, 0)
    this.#bounds = readings[0]!.delay.bounds
    this.#delay = this.#bounds.map(() => 0)
    this.#projection = this.#bounds.map(() => 0)
  }

  /** Of the histograms' buckets, in seconds. */
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
    const fresh = [...this.#last.values()].filter(told => at - told.at <= FRESH_MS).map(({ reading }) => reading)
    const pending = Math.max(0, ...fresh.map(reading => reading.pending))
    const records = Object.fromEntries(this.#records)
    return { at, lag: lagOf(fresh), pending, records, delay: this.#delay, projection: this.#projection, ready }
  }
}

/** Null unless every partition's is known. Where two claim the same one, the greater counts. */
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

/** The longest time, in ms, in which no record at all was committed. */
export const standstill = (ticks: Tick[], window: Window) => longestPause(ticks, window, ofAll)

/** The same of the partition that was hit worst. */
export function worstStandstill(ticks: Tick[], window: Window): number {
  return Math.max(0, ...partitionsOf(ticks).map(partition => longestPause(ticks, window, ofPartition(partition))))
}

/** How long a partition has not grown, until the last tick. */
export function idleFor(ticks: Tick[], partition: number): number {
  const count = ofPartition(partition)
  const now = ticks.at(-1)!
  const lastLess = ticks.findLastIndex(tick => count(tick) < count(now))
  return now.at - ticks[lastLess + 1]!.at
}

/** Partitions that grew all the time, with their longest pause: that one of them pauses longer is not chance. */
export function steadyPartitions(ticks: Tick[], window: Window, longestMs: number): Map<number, number> {
  const pauses = partitionsOf(ticks).map(p => [p, longestPause(ticks, window, ofPartition(p))] as const)
  return new Map(pauses.filter(([, pause]) => pause <= longestMs))
}

/** From the last growth before the window on; a count that does not grow again pauses until the window ends. */
function longestPause(ticks: Tick[], { from, to }: Window, count: (tick: Tick) => number): number {
  const growths = ticks.filter((tick, i) => i > 0 && count(tick) > count(ticks[i - 1]!)).map(({ at }) => at)
  const before = growths.findLast(at => at <= from) ?? from
  const moments = [before, ...growths.filter(at => at > from && at <= to), to]
  return Math.max(...moments.slice(1).map((at, i) => at - moments[i]!))
}

/** Null: it was known at no moment of the window. */
export function peakLag(ticks: Tick[], window: Window): number | null {
  const known = within(ticks, window).flatMap(({ lag }) => (lag === null ? [] : [lag]))
  return known.length === 0 ? null : Math.max(...known)
}

/** Seconds. `max`: the upper bound of the last bucket that has any. Null: nothing was measured. */
export type Delay = { p50: number; p99: number; max: number; samples: number }

export function delayIn(
  ticks: Tick[],
  bounds: number[],
  window: Window,
  of: 'delay' | 'projection' = 'delay',
): Delay | null {
  const last = ticks.findLast(({ at }) => at <= window.to)
  const first = startOf(ticks, window)
  if (!first || !last) return null
  return delayOf(
    bounds,
    last[of].map((count, i) => count - first[of][i]!),
  )
}

/** Exported for tests. `counts`: cumulative over the bounds, of which the last is Infinity. */
export function delayOf(bounds: number[], counts: number[]): Delay | null {
  const samples = counts.at(-1) ?? 0
  if (samples === 0) return null
  const max = bounds[counts.indexOf(samples)]!
  return { p50: quantile(0.5, bounds, counts), p99: quantile(0.99, bounds, counts), max, samples }
}

/** As Prometheus does: evenly spread within a bucket; beyond the last finite bound it can only name that bound. */
function quantile(q: number, bounds: number[], counts: number[]): number {
  const rank = q * counts.at(-1)!
  const i = counts.findIndex(count => count >= rank)
  const [low, below] = i === 0 ? [0, 0] : [bounds[i - 1]!, counts[i - 1]!]
  if (bounds[i] === Infinity) return low
  const inBucket = counts[i]! - below
  return inBucket === 0 ? low : low + ((bounds[i]! - low) * (rank - below)) / inBucket
}

const within = (ticks: Tick[], { from, to }: Window) => ticks.filter(({ at }) => at >= from && at <= to)
/** What stood when the window began. */
const startOf = (ticks: Tick[], { from }: Window) => ticks.findLast(({ at }) => at <= from) ?? ticks[0]

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
