/**
 * Simulates a pipeline as queues: a pattern fills the partitions, workers empty theirs, and each change causes a pause. It
 * is driven by our decision or by the usual one (lag divided by a threshold, as KEDA and a HorizontalPodAutoscaler do it).
 */
import { figuresOf } from '#operator/observe/figures.ts'
import type { WorkerReport } from '#operator/observe/report.ts'
import { decide, EMPTY_MEMORY, type ScaleSettings } from '#operator/scaling/decide.ts'

export const STEP_S = 1
const OBSERVE_S = 5
/** Assumed duration of a rebalance, during which nothing is processed. */
const PAUSE_S = 3
/** Records per second that one worker processes. */
export const CAPACITY = 1000
/** Share of time that a worker is busy with fixed work: measured as 0.08 in a pod at 50 sales/s. */
const FIXED = 0.08

export type Pattern = {
  name: string
  seconds: number
  partitions: number
  workers: number
  /** Records per second at a time. */
  arrivals: (second: number) => number
  /** Share of each partition; equal shares when left out. */
  weights?: number[]
  /** Records in the topic at the start. */
  backlog?: number
  /** Changes the lag besides arrivals, as retention does. */
  change?: (second: number, lag: number[]) => void
  /** True at times when no worker reports. */
  isUnknown?: (second: number) => boolean
}

export type Observation = { second: number; lag: number; current: number; reports: WorkerReport[] }
/** Returns the desired number of workers. */
export type Scaler = (observation: Observation) => number

export type Outcome = {
  changes: number
  /** Seconds with a lag above GOAL_S seconds of arrivals. */
  lateSeconds: number
  workerHours: number
  finalLag: number
  targets: number[]
}

/** A lag of more than this many seconds of arrivals counts as late. */
const GOAL_S = 30

export function simulate(pattern: Pattern, scaler: Scaler): Outcome {
  const { partitions, seconds } = pattern
  const weights = pattern.weights ?? Array.from({ length: partitions }, () => 1 / partitions)
  const lag = weights.map(weight => weight * (pattern.backlog ?? 0))
  let workers = pattern.workers
  let pausedUntil = 0
  let [changes, lateSeconds, workerSeconds] = [0, 0, 0]
  let done = new Map<number, number>()
  const totals = new Map<string, number>()
  const targets: number[] = []
  for (let second = 0; second < seconds; second += STEP_S) {
    const rate = pattern.arrivals(second)
    for (let p = 0; p < partitions; p++) lag[p]! += rate * weights[p]! * STEP_S
    pattern.change?.(second, lag)
    for (let w = 0; w < workers; w++) {
      const assigned = lag.map((_, p) => p).filter(p => p % workers === w)
      const worked = second < pausedUntil ? 0 : work(lag, assigned, CAPACITY * STEP_S)
      done.set(w, (done.get(w) ?? 0) + worked)
    }
    workerSeconds += workers * STEP_S
    const waiting = lag.reduce((sum, l) => sum + l, 0)
    if (waiting > Math.max(rate, 1) * GOAL_S) lateSeconds += STEP_S
    if (second % OBSERVE_S !== 0) continue
    const reports = pattern.isUnknown?.(second) ? [] : reportsOf(done, totals, lag, workers, second)
    done = new Map()
    const target = scaler({ second, lag: Math.round(waiting), current: workers, reports })
    targets.push(target)
    if (target !== workers) {
      changes++
      workers = target
      pausedUntil = second + PAUSE_S
    }
  }
  return {
    changes,
    lateSeconds,
    workerHours: workerSeconds / 3600,
    finalLag: Math.round(lag.reduce((sum, l) => sum + l, 0)),
    targets,
  }
}

function work(lag: number[], partitions: number[], capacity: number): number {
  let left = capacity
  for (const p of partitions) {
    const processed = Math.min(lag[p]!, left)
    lag[p]! -= processed
    left -= processed
  }
  return capacity - left
}

function reportsOf(
  done: Map<number, number>,
  totals: Map<string, number>,
  lag: number[],
  workers: number,
  second: number,
): WorkerReport[] {
  return Array.from({ length: workers }, (_, w) => {
    const pod = `w-${w}`
    const records = (totals.get(pod) ?? 0) + (done.get(w) ?? 0)
    totals.set(pod, records)
    return {
      pod,
      at: second * 1000,
      startedAt: 0,
      member: null,
      topicPartitions: lag.length,
      conditions: {},
      health: { ready: true },
      watermark: null,
      endToEndDelay: null,
      projectionDelay: null,
      projectionPending: 0,
      counters: { records, busySeconds: second * FIXED + (records / CAPACITY) * (1 - FIXED), projectedRows: 0 },
      partitions: lag.flatMap((l, p) => (p % workers === w ? [{ partition: p, lag: Math.round(l) }] : [])),
    }
  })
}

export function ours(settings: ScaleSettings, reasons: string[] = []): Scaler {
  let memory = EMPTY_MEMORY
  let before: Parameters<typeof figuresOf>[1] = null
  return ({ second, current, reports }) => {
    const now = second * 1000
    const figures = figuresOf(reports, before, now)
    before = reports.length === 0 ? null : { reports, lag: figures.lag, at: now }
    const decision = decide({ ...figures, now, current, settings }, memory)
    memory = decision.memory
    if (decision.target !== current) reasons.push(`${second} s: ${current} → ${decision.target}: ${decision.reason}`)
    return decision.target
  }
}

/** KEDA's Kafka scaler with its defaults for polling, through a HorizontalPodAutoscaler with its default behaviour. */
export function lagDivided({ min, max }: ScaleSettings, partitions: number, threshold = 1000): Scaler {
  const POLL_S = 15
  const STABLE_S = 300
  const recommended: { second: number; workers: number }[] = []
  return ({ second, lag, current }) => {
    if (second % POLL_S !== 0) return current
    const raw = Math.ceil(lag / threshold)
    const workers = Math.min(Math.max(raw, min), max, partitions)
    recommended.push({ second, workers })
    const highest = Math.max(...recommended.filter(w => second - w.second <= STABLE_S).map(w => w.workers))
    // The tolerance of 10 % and the rate of scaling up (double, or 4 pods, in 15 s) are the HPA's.
    const ratio = raw / current
    if (Math.abs(ratio - 1) <= 0.1) return current
    return workers > current ? Math.min(workers, Math.max(current * 2, current + 4)) : Math.min(highest, current)
  }
}
