/** The worker's conditions, and the answers to the probes that follow from them. */
import { INFORMATIONAL, type WorkerCode } from '#pipeline/conditions.ts'

/** How often an active condition may be logged when its message changes, ms. Many messages contain a growing count. */
const REPEAT_LOG_MS = 60_000

export type HealthReport = { live: boolean; ready: boolean; reasons: string[] }

export class Health {
  readonly #conditions = new Map<WorkerCode, { message: string; loggedAt: number }>()
  #notReady: string | null = 'Starting'
  #notLive: string | null = null

  /** Raises the condition, or clears it when the message is null. Returns whether to log the change. */
  condition(code: WorkerCode, message: string | null, now: number): boolean {
    if (message === null) return this.#conditions.delete(code)
    const before = this.#conditions.get(code)
    const shouldLog = !before || (before.message !== message && now - before.loggedAt >= REPEAT_LOG_MS)
    this.#conditions.set(code, { message, loggedAt: shouldLog ? now : before.loggedAt })
    return shouldLog
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
    const present = reasons.filter(reason => reason !== null)
    return { live: this.#notLive === null, ready: present.length === 0, reasons: present }
  }
}
