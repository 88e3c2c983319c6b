/** What the probes answer, and the conditions behind it. */
import { INFORMATIONAL, type WorkerCode } from '#pipeline/conditions.ts'

/** An active condition whose message changes (many carry a count that grows) is told again only after so long, ms. */
const TELL_AGAIN_MS = 60_000

export type HealthReport = { live: boolean; ready: boolean; reasons: string[] }

export class Health {
  readonly #conditions = new Map<WorkerCode, { message: string; toldAt: number }>()
  #notReady: string | null = 'Starting'
  #notLive: string | null = null

  /** Raises the condition, or clears it where the message is null. Answers whether to tell of it in the log. */
  condition(code: WorkerCode, message: string | null, now: number): boolean {
    if (message === null) return this.#conditions.delete(code)
    const before = this.#conditions.get(code)
    const tell = !before || (before.message !== message && now - before.toldAt >= TELL_AGAIN_MS)
    this.#conditions.set(code, { message, toldAt: tell ? now : before.toldAt })
    return tell
  }

  setReady(ready: boolean, reason: string): void {
    this.#notReady = ready ? null : reason
  }

  setLive(live: boolean, reason: string): void {
    this.#notLive = live ? null : reason
  }

  conditions(): Record<string, string> {
    return Object.fromEntries([...this.#conditions].map(([code, { message }]) => [code, message]))
  }

  report(): HealthReport {
    const blocking = [...this.#conditions].filter(([code]) => !INFORMATIONAL.has(code))
    const reasons = [this.#notLive, this.#notReady, ...blocking.map(([code, { message }]) => `${code}: ${message}`)]
    const given = reasons.filter(reason => reason !== null)
    return { live: this.#notLive === null, ready: given.length === 0, reasons: given }
  }
}
