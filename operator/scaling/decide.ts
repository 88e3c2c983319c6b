/**
 * Decides the number of workers as a pure function of measurements. Lag alone does not show how much a worker can do, so
 * the decision uses the true rate of one worker (records per busy second, Kalavri et al., "Three steps is all you need",
 * OSDI 2018), the arrival rate, and the time in which a backlog must be processed.
 */

export type ScaleSettings = {
  min: number
  max: number
  /** Share of a worker's capacity that steady traffic may use. */
  targetUtilization: number
  /** ms in which a backlog must be processed. */
  catchUpWithin: number
  /** ms over which the highest need counts before workers are removed. */
  stabilization: number
  /** ms after a change during which there is no other. */
  cooldown: number
}

export type ScaleInput = {
  /** ms since the epoch. */
  now: number
  partitions: number
  /** Workers desired now, and workers whose rates are known. */
  current: number
  measured: number
  /** Records that can be read now; records per second; records per busy second of a worker; share of busy time; records per second. Null: not known. */
  backlog: number | null
  arrivalRate: number | null
  trueRate: number | null
  busy: number | null
  doneRate: number | null
  settings: ScaleSettings
}

/** State that one decision passes to the next. */
export type ScaleMemory = {
  /** Smoothed. */
  trueRate: number | null
  arrivalRate: number | null
  /** Workers needed at a time (ms since the epoch), without and with slack. */
  needs: { at: number; workers: number; withSlack: number }[]
  lastChange: { at: number; from: number; to: number; doneRate: number | null; backlog: number | null } | null
  /** After more workers did not help: none are added before `until`, ms since the epoch; every time twice as long. */
  scaleUpPause: { until: number; forMs: number }
}

export type ScaleDecision = { target: number; reason: string; memory: ScaleMemory }

export const EMPTY_MEMORY: ScaleMemory = {
  trueRate: null,
  arrivalRate: null,
  needs: [],
  lastChange: null,
  scaleUpPause: { until: 0, forMs: 0 },
}

/** Weight of the newest measurement: an outlier moves little, a change shows within half a minute. */
const NEWEST_WEIGHT = 0.3
/** Share of busy time from which a worker counts as saturated: no program avoids all pauses. */
const SATURATED = 0.9
/** A backlog that takes less than this share of `catchUpWithin` needs no more workers. */
const NEGLIGIBLE_BACKLOG = 0.25
/** Share of the expected gain that must be reached, or more workers are undone. */
const MIN_GAIN = 0.4
/** Cool-downs during which a change is evaluated: a hot partition's backlog takes a while to show. */
const EVALUATION_COOLDOWNS = 10
/** Cool-downs during which no workers are added after more did not help. */
const PAUSE_COOLDOWNS = 10
/** Workers are removed only if the rest can do this much more than needed, so that they are not added again at once. */
const SLACK = 1.15

export function decide(input: ScaleInput, before: ScaleMemory): ScaleDecision {
  const { current, now, settings, partitions } = input
  const bounded = Math.min(Math.max(current, settings.min), settings.max)
  if (bounded !== current)
    return change(
      input,
      before,
      bounded,
      `spec.workers.autoscale allows ${settings.min} to ${settings.max} workers, not ${current}`,
    )
  if (input.backlog === null || input.arrivalRate === null || input.trueRate === null)
    return {
      target: current,
      reason: 'no change: the workers have not reported their lag and processing rates yet',
      memory: before,
    }
  // Smoothed, but a rise that was measured twice counts at once.
  const arrivalRate = Math.max(
    smooth(before.arrivalRate, input.arrivalRate),
    Math.min(input.arrivalRate, before.arrivalRate ?? 0),
  )
  const trueRate = capacity(before.trueRate, input.trueRate, isSaturated(input, arrivalRate))
  const required = requiredRate(arrivalRate, input.backlog, settings)
  const need = clamp(workersFor(required, trueRate, partitions), settings)
  const withSlack = clamp(workersFor(required * SLACK, trueRate, partitions), settings)
  const recent = before.needs.filter(({ at }) => now - at < settings.stabilization)
  const needs = [...recent, { at: now, workers: need, withSlack }]
  const memory = { ...before, trueRate, arrivalRate, needs }
  const why = `${Math.round(arrivalRate)} records/s arrive, the backlog is ${input.backlog}, one worker processes ${Math.round(trueRate)} records/s`
  if (before.lastChange && now - before.lastChange.at < settings.cooldown)
    return { target: current, reason: `cooling down: ${why}`, memory }
  const undone = undoScaleUp(input, memory)
  if (undone) return undone
  if (need > current) return scaleUp(input, memory, need, why)
  const highest = Math.max(...needs.map(({ withSlack }) => withSlack))
  const isStable = now - (before.needs[0]?.at ?? now) >= settings.stabilization * 0.9
  if (highest < current && isStable) return change(input, memory, highest, `fewer workers are enough: ${why}`)
  return { target: current, reason: `the current number of workers is enough: ${why}`, memory }
}

/**
 * A saturated worker shows its capacity. In one that is often idle, fixed work (polling Kafka, committing) is divided by
 * few records, so that its rate is only a lower bound.
 */
function capacity(before: number | null, reading: number, saturated: boolean): number {
  const smoothed = smooth(before, reading)
  return saturated || before === null ? smoothed : Math.max(before, smoothed)
}

function isSaturated({ busy, backlog, settings }: ScaleInput, arrivalRate: number): boolean {
  return (busy ?? 0) >= SATURATED || isBacklog(backlog ?? 0, arrivalRate, settings.catchUpWithin)
}

/** Steady traffic leaves headroom; a backlog may use the whole capacity. */
function requiredRate(
  arrivalRate: number,
  backlog: number,
  { targetUtilization, catchUpWithin }: ScaleSettings,
): number {
  const seconds = catchUpWithin / 1000
  const catchUp = isBacklog(backlog, arrivalRate, catchUpWithin) ? arrivalRate + backlog / seconds : 0
  return Math.max(arrivalRate / targetUtilization, catchUp)
}

function isBacklog(backlog: number, arrivalRate: number, catchUpWithin: number): boolean {
  return backlog > (arrivalRate * catchUpWithin * NEGLIGIBLE_BACKLOG) / 1000
}

/** The smallest number that meets the rate. Only numbers that give the fullest worker fewer partitions make a difference. */
export function workersFor(required: number, trueRate: number, partitions: number): number {
  for (let share = partitions; share >= 1; share--) {
    const workers = Math.ceil(partitions / share)
    if ((trueRate * partitions) / Math.ceil(partitions / workers) >= required) return workers
  }
  return partitions
}

function scaleUp(input: ScaleInput, memory: ScaleMemory, need: number, why: string): ScaleDecision {
  if (input.now < memory.scaleUpPause.until)
    return {
      target: input.current,
      reason: `no change: ${why}, but more workers did not help before. Check whether one partition has most of the records`,
      memory,
    }
  // A single reading may be a rebalance; two in a row are traffic.
  const last = memory.needs.at(-2)
  if (!last || last.workers <= input.current)
    return { target: input.current, reason: `more workers may be needed: ${why}`, memory }
  return change(
    input,
    memory,
    Math.min(need, Math.max(last.workers, input.current + 1)),
    `more workers are needed: ${why}`,
  )
}

/** Reverts a scale-up that did not help; judged only when all workers are measured and there is a backlog. */
function undoScaleUp(input: ScaleInput, memory: ScaleMemory): ScaleDecision | null {
  const { lastChange } = memory
  if (!lastChange || lastChange.to <= lastChange.from || input.current !== lastChange.to) return null
  const { at, from, to, doneRate } = lastChange
  if (input.now - at > EVALUATION_COOLDOWNS * input.settings.cooldown) return null
  if (input.doneRate === null || doneRate === null || input.measured < to) return null
  const [backlog, backlogThen] = [input.backlog ?? 0, lastChange.backlog ?? 0]
  // Without a backlog the workers process what arrives, however many they are.
  const hasWork = isBacklog(backlog, memory.arrivalRate ?? 0, input.settings.catchUpWithin)
  const expected = 1 + MIN_GAIN * (to / from - 1)
  if (!hasWork || backlog <= backlogThen || input.doneRate >= doneRate * expected) return null
  const forMs = Math.max(PAUSE_COOLDOWNS * input.settings.cooldown, 2 * memory.scaleUpPause.forMs)
  const paused = { ...memory, needs: [], scaleUpPause: { until: input.now + forMs, forMs } }
  const reason = `more workers did not help: ${workersText(from)} processed ${Math.round(doneRate)} records/s, ${workersText(to)} process ${Math.round(input.doneRate)} records/s. Check whether one partition has most of the records`
  return change(input, paused, from, reason)
}

function change(input: ScaleInput, memory: ScaleMemory, target: number, reason: string): ScaleDecision {
  const { now, current, doneRate, backlog } = input
  return {
    target,
    reason,
    memory: { ...memory, lastChange: { at: now, from: current, to: target, doneRate, backlog } },
  }
}

const workersText = (count: number) => (count === 1 ? '1 worker' : `${count} workers`)
const smooth = (before: number | null, newest: number) =>
  before === null ? newest : before + NEWEST_WEIGHT * (newest - before)
const clamp = (workers: number, { min, max }: ScaleSettings) => Math.min(Math.max(workers, min), max)
