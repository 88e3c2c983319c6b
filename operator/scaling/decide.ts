/**
 * How many workers: a pure function of what was measured. Not from lag alone, which says nothing about how much a worker
 * does, but from the true rate of one worker (records per second of work, Kalavri et al., "Three steps is all you need",
 * OSDI 2018), what comes in, and how soon a backlog shall be gone.
 */

export type ScaleSettings = {
  min: number
  max: number
  /** Share of a worker's capacity that steady traffic may take. */
  targetUtilization: number
  /** ms in which a backlog shall be gone. */
  catchUpWithin: number
  /** ms over which the highest need counts, before workers are taken away. */
  stabilization: number
  /** ms after a change in which there is no other. */
  cooldown: number
}

export type ScaleInput = {
  /** ms since the epoch. */
  now: number
  partitions: number
  /** Workers wanted now, and those whose rates are known. */
  current: number
  measured: number
  /** Records; per second; per second of one worker's work; share of time at work; per second done. Null: not known. */
  lag: number | null
  arrivalRate: number | null
  trueRate: number | null
  busy: number | null
  doneRate: number | null
  settings: ScaleSettings
}

/** What one decision hands to the next. */
export type ScaleMemory = {
  /** Smoothed. */
  trueRate: number | null
  arrivalRate: number | null
  /** What was needed, when, and what would be enough with some slack. */
  needs: { at: number; workers: number; withSlack: number }[]
  lastChange: { at: number; from: number; to: number; doneRate: number | null; lag: number | null } | null
  /** More workers did not help: none are added before `until`, ms since the epoch; each time it lasts twice as long. */
  noMore: { until: number; forMs: number }
}

export type ScaleDecision = { target: number; reason: string; memory: ScaleMemory }

export const NOTHING_KNOWN: ScaleMemory = {
  trueRate: null,
  arrivalRate: null,
  needs: [],
  lastChange: null,
  noMore: { until: 0, forMs: 0 },
}

/** Weight of the newest measurement: a single odd one moves little, a change shows within half a minute. */
const NEWEST = 0.3
/** Of its time at work: the rest is the pauses that no program avoids. */
const SATURATED = 0.9
/** A backlog that is gone in less than this share of the goal needs nobody more. */
const NEGLIGIBLE_BACKLOG = 0.25
/** Of the gain that the number of workers promises, this share must come, or the change is undone. */
const LEAST_GAIN = 0.4
/** For so many cool-downs after a change what is seen may be its doing: a hot partition's backlog takes a while to show. */
const JUDGED_FOR = 10
/** Then more are not tried for so many cool-downs. */
const NO_MORE_FOR = 10
/** Workers are taken away only when the rest could do so much more than is needed: a step has two sides. */
const SLACK = 1.15

export function decide(input: ScaleInput, before: ScaleMemory): ScaleDecision {
  const { current, now, settings, partitions } = input
  const bounded = Math.min(Math.max(current, settings.min), settings.max)
  if (bounded !== current) return change(input, before, bounded, `within the bounds ${settings.min} to ${settings.max}`)
  if (input.lag === null || input.arrivalRate === null || input.trueRate === null)
    return { target: current, reason: 'what the workers do is not known: nothing is changed', memory: before }
  // What was measured before goes into the past by its share; what comes in more is believed at once.
  const arrivalRate = Math.max(
    smooth(before.arrivalRate, input.arrivalRate),
    Math.min(input.arrivalRate, before.arrivalRate ?? 0),
  )
  const trueRate = capacity(before.trueRate, input.trueRate, isSaturated(input, arrivalRate))
  const required = requiredRate(arrivalRate, input.lag, settings)
  const need = clamp(workersFor(required, trueRate, partitions), settings)
  const withSlack = clamp(workersFor(required * SLACK, trueRate, partitions), settings)
  const recent = before.needs.filter(({ at }) => now - at < settings.stabilization)
  const needs = [...recent, { at: now, workers: need, withSlack }]
  const memory = { ...before, trueRate, arrivalRate, needs }
  const why = `${Math.round(arrivalRate)} records/s come in, ${input.lag} wait, one worker does ${Math.round(trueRate)}/s`
  if (before.lastChange && now - before.lastChange.at < settings.cooldown)
    return { target: current, reason: `cooling down: ${why}`, memory }
  const undone = undo(input, memory)
  if (undone) return undone
  if (need > current) return more(input, memory, need, why)
  const highest = Math.max(...needs.map(({ withSlack }) => withSlack))
  const isStable = now - (before.needs[0]?.at ?? now) >= settings.stabilization * 0.9
  if (highest < current && isStable) return change(input, memory, highest, `fewer are enough: ${why}`)
  return { target: current, reason: `enough: ${why}`, memory }
}

/**
 * A worker that is never idle shows what it can do. Of one that often waits, what it does whether sales come or not (asking
 * Kafka, committing) counts as work for the few that came: it can do that much at least.
 */
function capacity(before: number | null, reading: number, saturated: boolean): number {
  const smoothed = smooth(before, reading)
  return saturated || before === null ? smoothed : Math.max(before, smoothed)
}

function isSaturated({ busy, lag, settings }: ScaleInput, arrivalRate: number): boolean {
  return (busy ?? 0) >= SATURATED || isBacklog(lag ?? 0, arrivalRate, settings.catchUpWithin)
}

/** Steady traffic leaves headroom; a backlog may take all there is. */
function requiredRate(arrivalRate: number, lag: number, { targetUtilization, catchUpWithin }: ScaleSettings): number {
  const seconds = catchUpWithin / 1000
  const catchUp = isBacklog(lag, arrivalRate, catchUpWithin) ? arrivalRate + lag / seconds : 0
  return Math.max(arrivalRate / targetUtilization, catchUp)
}

function isBacklog(lag: number, arrivalRate: number, catchUpWithin: number): boolean {
  return lag > (arrivalRate * catchUpWithin * NEGLIGIBLE_BACKLOG) / 1000
}

/** The least number whose fullest worker does its share: more count only where that worker has fewer partitions. */
export function workersFor(required: number, trueRate: number, partitions: number): number {
  for (let share = partitions; share >= 1; share--) {
    const workers = Math.ceil(partitions / share)
    if ((trueRate * partitions) / Math.ceil(partitions / workers) >= required) return workers
  }
  return partitions
}

function more(input: ScaleInput, memory: ScaleMemory, need: number, why: string): ScaleDecision {
  if (input.now < memory.noMore.until)
    return { target: input.current, reason: `more did not help before (one hot partition?): ${why}`, memory }
  // One reading may be a rebalance: two in a row are traffic.
  const last = memory.needs.at(-2)
  if (!last || last.workers <= input.current)
    return { target: input.current, reason: `more may be needed: ${why}`, memory }
  return change(input, memory, Math.min(need, Math.max(last.workers, input.current + 1)), `more are needed: ${why}`)
}

/** A change upwards that brought nothing, once all of them work, while there is work to do. */
function undo(input: ScaleInput, memory: ScaleMemory): ScaleDecision | null {
  const { lastChange } = memory
  if (!lastChange || lastChange.to <= lastChange.from || input.current !== lastChange.to) return null
  const { at, from, to, doneRate } = lastChange
  if (input.now - at > JUDGED_FOR * input.settings.cooldown) return null
  if (input.doneRate === null || doneRate === null || input.measured < to) return null
  const [lag, lagThen] = [input.lag ?? 0, lastChange.lag ?? 0]
  // Without a backlog they do what comes in, however many they are.
  const hasWork = isBacklog(lag, memory.arrivalRate ?? 0, input.settings.catchUpWithin)
  const promised = 1 + LEAST_GAIN * (to / from - 1)
  if (!hasWork || lag <= lagThen || input.doneRate >= doneRate * promised) return null
  const forMs = Math.max(NO_MORE_FOR * input.settings.cooldown, 2 * memory.noMore.forMs)
  const stopped = { ...memory, needs: [], noMore: { until: input.now + forMs, forMs } }
  const reason = `${to} workers do ${Math.round(input.doneRate)}/s, and ${from} did ${Math.round(doneRate)}/s: has one partition most of the keys?`
  return change(input, stopped, from, reason)
}

function change(input: ScaleInput, memory: ScaleMemory, target: number, reason: string): ScaleDecision {
  const { now, current, doneRate, lag } = input
  return { target, reason, memory: { ...memory, lastChange: { at: now, from: current, to: target, doneRate, lag } } }
}

const smooth = (before: number | null, newest: number) =>
  before === null ? newest : before + NEWEST * (newest - before)
const clamp = (workers: number, { min, max }: ScaleSettings) => Math.min(Math.max(workers, min), max)
