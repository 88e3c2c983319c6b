/** The pipeline's figures from two successive reports of its workers: rates are differences of totals. */
import type { WorkerReport } from './report.ts'

export type Figures = {
  /** Partitions of the topic as the workers see it: the spec may name another number. */
  partitions: number
  /** Records not yet in the results; null unless every partition's lag is known. */
  lag: number | null
  /** The part of the lag that can be read now. No worker can read records behind an open transaction. */
  backlog: number | null
  /** ms since the epoch. */
  watermark: number | null
  /** Seconds. */
  delayP99: number | null
  /** Workers whose rates are known. */
  measured: number
  /** Records per second that are processed, and that arrive; null until one worker has reported twice. */
  doneRate: number | null
  arrivalRate: number | null
  /** 0 to 1: average share of time that the workers are busy. */
  busy: number | null
  /** Records per second of one worker that is never idle: its true rate (Kalavri et al., DS2, OSDI 2018). */
  trueRate: number | null
  /** 0: no backlog; Infinity: more records arrive than can be processed; null: not known. */
  catchUpMs: number | null
}

export const UNKNOWN: Figures = {
  partitions: 0,
  lag: null,
  backlog: null,
  watermark: null,
  delayP99: null,
  measured: 0,
  doneRate: null,
  arrivalRate: null,
  busy: null,
  trueRate: null,
  catchUpMs: null,
}

/** Below this share of busy time the true rate is noise. */
const MIN_BUSY = 0.01

export function figuresOf(
  reports: WorkerReport[],
  before: { reports: WorkerReport[]; lag: number | null; at: number } | null,
  now: number,
): Figures {
  if (reports.length === 0) return UNKNOWN
  const partitions = Math.max(...reports.map(({ topicPartitions }) => topicPartitions))
  const lag = sumOf(partitions, reports, p => p.lag)
  const backlog = sumOf(partitions, reports, p => Math.max(0, p.lag - (p.undecided ?? 0)))
  const rates = before === null ? null : ratesOf(reports, before.reports)
  const seconds = before === null ? 0 : (now - before.at) / 1000
  const growth =
    lag === null || before === null || before.lag === null || seconds <= 0 ? null : (lag - before.lag) / seconds
  const arrivalRate = rates === null || growth === null ? null : Math.max(0, rates.done + growth)
  return {
    partitions,
    lag,
    backlog,
    watermark: maxOf(reports.map(r => r.watermark)),
    delayP99: maxOf(reports.map(r => r.endToEndDelay?.p99 ?? null)),
    measured: rates?.workers ?? 0,
    doneRate: rates?.done ?? null,
    arrivalRate,
    busy: rates?.busy ?? null,
    trueRate: rates?.true ?? null,
    catchUpMs: catchUpMs(backlog, arrivalRate, rates?.true ?? null, reports.length),
  }
}

type PartitionReport = WorkerReport['partitions'][number]

/** Null unless every partition is reported. */
function sumOf(partitions: number, reports: WorkerReport[], value: (of: PartitionReport) => number): number | null {
  const known = new Map(reports.flatMap(report => report.partitions.map(p => [p.partition, value(p)])))
  return partitions > 0 && known.size >= partitions ? [...known.values()].reduce((sum, count) => sum + count, 0) : null
}

type Rates = { workers: number; done: number; busy: number; true: number | null }

function ratesOf(reports: WorkerReport[], before: WorkerReport[]): Rates | null {
  const shares = reports.flatMap(report => {
    const earlier = before.find(({ pod }) => pod === report.pod)
    // A worker that restarted counts from 0 again.
    if (!earlier || report.at <= earlier.at || report.counters.records < earlier.counters.records) return []
    const seconds = (report.at - earlier.at) / 1000
    const share = (name: 'records' | 'busySeconds') => (report.counters[name] - earlier.counters[name]) / seconds
    return [{ done: share('records'), busy: share('busySeconds') }]
  })
  if (shares.length === 0) return null
  const done = shares.reduce((sum, share) => sum + share.done, 0)
  const work = shares.reduce((sum, share) => sum + share.busy, 0)
  const busy = work / shares.length
  return { workers: shares.length, done, busy, true: busy >= MIN_BUSY && done > 0 ? done / work : null }
}

function catchUpMs(
  backlog: number | null,
  arrival: number | null,
  trueRate: number | null,
  workers: number,
): number | null {
  if (backlog === null) return null
  if (backlog === 0) return 0
  if (arrival === null || trueRate === null) return null
  const spare = trueRate * workers - arrival
  return spare <= 0 ? Infinity : (backlog / spare) * 1000
}

function maxOf(values: (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length === 0 ? null : Math.max(...known)
}
