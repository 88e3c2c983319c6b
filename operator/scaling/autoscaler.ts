/** Asks `decide` for each pipeline whenever its workers were heard, remembers what it needs, and tells what it thinks. */
import type { Spec } from '#pipeline/schema.ts'
import type { Figures } from '../observe/figures.ts'
import { decide, NOTHING_KNOWN, type ScaleMemory } from './decide.ts'

export type Scaling = {
  autoscale?: { target: number; reason: string; throughputPerWorker?: string }
  lastScale?: { from: number; to: number; at: string; reason: string; inputs: Record<string, string> }
}

export class Autoscaler {
  readonly #memory = new Map<string, ScaleMemory>()
  readonly #targets = new Map<string, number>()

  /** How many workers shall run. `before`: what the status said, for an operator that has just started. */
  wanted(key: string, { workers }: Spec, before: Scaling): number {
    if (workers.autoscale.mode !== 'active') return workers.replicas
    const { min, max } = workers.autoscale
    const target = this.#targets.get(key) ?? before.autoscale?.target ?? workers.replicas
    this.#targets.set(key, target)
    return Math.min(Math.max(target, min), max)
  }

  /** What to say of it; in mode `active` the next `wanted` follows it. */
  observe(key: string, spec: Spec, figures: Figures, running: number, now: number, before: Scaling): Scaling {
    const { mode, ...settings } = spec.workers.autoscale
    if (mode === 'off') {
      this.forget(key)
      return before.lastScale ? { lastScale: before.lastScale } : {}
    }
    // What was decided last may not have been seen in the cluster yet: it counts, or it would be taken back.
    const current = mode === 'active' ? (this.#targets.get(key) ?? running) : running
    const { target, reason, memory } = decide(
      { ...figures, now, current, settings },
      this.#memory.get(key) ?? NOTHING_KNOWN,
    )
    // What is only thought is no change: the next thought starts from what runs.
    this.#memory.set(key, mode === 'active' ? memory : { ...memory, lastChange: null })
    this.#targets.set(key, target)
    const isScaled = mode === 'active' && target !== current
    const throughput = memory.trueRate === null ? {} : { throughputPerWorker: `${round(memory.trueRate)}/s` }
    const at = `${new Date(now).toISOString().slice(0, 19)}Z`
    return {
      autoscale: { target, reason: coarse(reason), ...throughput },
      ...(isScaled
        ? { lastScale: { from: current, to: target, at, reason, inputs: inputsOf(figures) } }
        : before.lastScale && { lastScale: before.lastScale }),
    }
  }

  forget(key: string): void {
    this.#memory.delete(key)
    this.#targets.delete(key)
  }
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
