/** Asks `decide` for each pipeline whenever its workers were heard, remembers what it needs, and tells what it thinks. */
import type { Spec } from '#pipeline/schema.ts'
import type { Figures } from '../observe/figures.ts'
import { decide, NOTHING_KNOWN, type ScaleMemory } from './decide.ts'

export type LastScale = { from: number; to: number; at: string; reason: string; inputs: Record<string, string> }
export type Scaling = {
  autoscale?: { target: number; reason: string; throughputPerWorker?: string }
  lastScale?: LastScale
}

/** `figures`, `settings`: what it was decided from. */
type Decided = { figures: Figures; settings: string; scaling: Scaling }

export class Autoscaler {
  readonly #memory = new Map<string, ScaleMemory>()
  /** In mode active: what was decided, which the cluster need not show yet. */
  readonly #targets = new Map<string, number>()
  readonly #decided = new Map<string, Decided>()

  /** How many workers shall run. `running`: of the Deployment, if there is one, for an operator that has just started. */
  wanted(key: string, { workers }: Spec, running: number | undefined): number {
    if (workers.autoscale.mode !== 'active') return workers.replicas
    const { min, max } = workers.autoscale
    const target = this.#targets.get(key) ?? running ?? workers.replicas
    return Math.min(Math.max(target, min), max)
  }

  /**
   * What to say of it, and the change if there is one; in mode `active` the next `wanted` follows it. Once for the same
   * figures: they do not become two measurements by being looked at twice.
   */
  observe(
    key: string,
    spec: Spec,
    figures: Figures,
    running: number,
    now: number,
    before: Scaling,
  ): { scaling: Scaling; change: LastScale | null } {
    const { mode, ...settings } = spec.workers.autoscale
    const last = this.#decided.get(key)
    const lastScale = last?.scaling.lastScale ?? before.lastScale
    if (mode === 'off') {
      this.forget(key)
      return { scaling: lastScale ? { lastScale } : {}, change: null }
    }
    const decidedFrom = { figures, settings: JSON.stringify(spec.workers.autoscale) }
    if (last?.figures === figures && last.settings === decidedFrom.settings)
      return { scaling: last.scaling, change: null }
    // What was decided last may not have been seen in the cluster yet: it counts, or it would be taken back.
    const current = mode === 'active' ? (this.#targets.get(key) ?? running) : running
    const { target, reason, memory } = decide(
      { ...figures, now, current, settings },
      this.#memory.get(key) ?? rememberedOf(lastScale),
    )
    // What is only thought is no change: the next thought starts from what runs.
    this.#memory.set(key, mode === 'active' ? memory : { ...memory, lastChange: null })
    if (mode === 'active') this.#targets.set(key, target)
    else this.#targets.delete(key)
    const at = `${new Date(now).toISOString().slice(0, 19)}Z`
    const isChange = mode === 'active' && target !== current
    const change = isChange ? { from: current, to: target, at, reason, inputs: inputsOf(figures) } : null
    const throughput = memory.trueRate === null ? {} : { throughputPerWorker: `${round(memory.trueRate)}/s` }
    const newest = change ?? lastScale
    const scaling = {
      autoscale: { target, reason: coarse(reason), ...throughput },
      ...(newest && { lastScale: newest }),
    }
    this.#decided.set(key, { ...decidedFrom, scaling })
    return { scaling, change }
  }

  forget(key: string): void {
    this.#memory.delete(key)
    this.#targets.delete(key)
    this.#decided.delete(key)
  }
}

/** For an operator that has just started: the cool-down of the one before goes on. */
function rememberedOf(lastScale: LastScale | undefined): ScaleMemory {
  if (!lastScale) return NOTHING_KNOWN
  const { from, to, at } = lastScale
  return { ...NOTHING_KNOWN, lastChange: { from, to, at: Date.parse(at), doneRate: null, lag: null } }
}

function inputsOf({ lag, arrivalRate, trueRate, doneRate }: Figures): Record<string, string> {
  const known = Object.entries({ lag, arrivalRate, trueRate, doneRate }).filter(([, value]) => value !== null)
  return Object.fromEntries(known.map(([name, value]) => [name, String(round(value!))]))
}

/** Two digits: a status that changed with every record would be written for ever. */
function round(value: number): number {
  return Number(value.toPrecision(2))
}

const coarse = (reason: string) => reason.replace(/\d+/g, digits => String(round(Number(digits))))
