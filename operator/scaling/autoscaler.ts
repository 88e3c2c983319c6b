/** Calls `decide` once per measurement of a pipeline's workers, keeps what the next decision needs, and reports both. */
import type { Spec } from '#pipeline/schema.ts'
import type { Figures } from '../observe/figures.ts'
import { decide, EMPTY_MEMORY, type ScaleMemory } from './decide.ts'

export type LastScale = { from: number; to: number; at: string; reason: string; inputs: Record<string, string> }
export type Scaling = {
  autoscale?: { target: number; reason: string; throughputPerWorker?: string }
  lastScale?: LastScale
}

export type ScalingDecision = {
  /** Replicas that the Deployment gets. */
  workers: number
  /** The autoscaler's part of the pipeline's status. */
  scaling: Scaling
  change: LastScale | null
  /** The state that `accept` keeps for the next decision; null: none. Left out when there was no decision. */
  next?: State | null
}

type State = {
  memory: ScaleMemory
  /** The decision in mode active, which the caches may not show yet; null in mode observe. */
  target: number | null
  /** Figures of the last decision. */
  figures: Figures
  settings: string
  scaling: Scaling
}

export class Autoscaler {
  readonly #states = new Map<string, State>()

  /** Returns the number of workers by earlier decisions. A new operator starts from `running`, the Deployment's replicas. */
  desiredWorkers(key: string, spec: Spec, running: number | undefined): number {
    return workersFor(spec, this.#states.get(key)?.target ?? running)
  }

  /**
   * Decides once per measurement: the same figures and settings give the same decision. Takes effect only when the caller
   * passes it to `accept`.
   */
  decide(key: string, spec: Spec, figures: Figures, running: number, now: number, before: Scaling): ScalingDecision {
    const { mode, ...limits } = spec.workers.autoscale
    const state = this.#states.get(key)
    const lastScale = state?.scaling.lastScale ?? before.lastScale
    if (mode === 'off')
      return { workers: spec.workers.replicas, scaling: lastScale ? { lastScale } : {}, change: null, next: null }
    const settings = JSON.stringify(spec.workers.autoscale)
    if (state?.figures === figures && state.settings === settings)
      return { workers: this.desiredWorkers(key, spec, running), scaling: state.scaling, change: null }
    // The caches may not show the last decision yet: starting from them would revert it.
    const isActive = mode === 'active'
    const current = isActive ? (state?.target ?? running) : running
    const input = { ...figures, now, current, settings: limits }
    const { target, reason, memory } = decide(input, state?.memory ?? memoryFrom(lastScale))
    const change =
      isActive && target !== current
        ? { from: current, to: target, at: secondsOf(now), reason, inputs: inputsOf(figures) }
        : null
    const scaling = scalingOf(target, reason, memory, change ?? lastScale)
    // In mode observe nothing changed: the next decision starts from the running workers.
    const kept = isActive ? memory : { ...memory, lastChange: null }
    const next = { memory: kept, target: isActive ? target : null, figures, settings, scaling }
    return { workers: workersFor(spec, target), scaling, change, next }
  }

  /** Call once the number of workers was applied: the next decision builds on this one. */
  accept(key: string, { next }: ScalingDecision): void {
    if (next) this.#states.set(key, next)
    else if (next === null) this.forget(key)
  }

  forget(key: string): void {
    this.#states.delete(key)
  }
}

function workersFor({ workers }: Spec, target: number | undefined): number {
  const { mode, min, max } = workers.autoscale
  return mode === 'active' ? Math.min(Math.max(target ?? workers.replicas, min), max) : workers.replicas
}

function scalingOf(
  target: number,
  reason: string,
  { trueRate }: ScaleMemory,
  lastScale: LastScale | undefined,
): Scaling {
  return {
    autoscale: {
      target,
      reason: coarse(reason),
      ...(trueRate !== null && { throughputPerWorker: `${round(trueRate)}/s` }),
    },
    ...(lastScale && { lastScale }),
  }
}

/** A new operator continues the cool-down of the one before. */
function memoryFrom(lastScale: LastScale | undefined): ScaleMemory {
  if (!lastScale) return EMPTY_MEMORY
  const { from, to, at } = lastScale
  return { ...EMPTY_MEMORY, lastChange: { from, to, at: Date.parse(at), doneRate: null, backlog: null } }
}

function inputsOf({ lag, backlog, arrivalRate, trueRate, doneRate }: Figures): Record<string, string> {
  const known = Object.entries({ lag, backlog, arrivalRate, trueRate, doneRate }).filter(([, value]) => value !== null)
  return Object.fromEntries(known.map(([name, value]) => [name, String(round(value!))]))
}

const secondsOf = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

/** Two digits: a status that changed with every record would be written all the time. */
function round(value: number): number {
  return Number(value.toPrecision(2))
}

const coarse = (reason: string) => reason.replace(/\d+/g, digits => String(round(Number(digits))))
