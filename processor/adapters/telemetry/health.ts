/** What the probes answer, and the conditions behind it. */

/** Conditions that tell of a weaker guarantee while everything still runs; all others make the worker not ready. */
export const INFORMATIONAL: ReadonlySet<string> = new Set([
  'DeduplicationBounded',
  'WeakFutureGuard',
  'HistoryUnavailable',
])

export type HealthReport = { live: boolean; ready: boolean; reasons: string[] }

export class Health {
  readonly #conditions = new Map<string, string>()
  #notReady: string | null = 'Starting'
  #notLive: string | null = null

  /** Raises the condition, or clears it where the message is null. Answers whether that changed anything. */
  condition(code: string, message: string | null): boolean {
    if (message === null) return this.#conditions.delete(code)
    if (this.#conditions.get(code) === message) return false
    this.#conditions.set(code, message)
    return true
  }

  setReady(ready: boolean, reason: string): void {
    this.#notReady = ready ? null : reason
  }

  setLive(live: boolean, reason: string): void {
    this.#notLive = live ? null : reason
  }

  conditions(): Record<string, string> {
    return Object.fromEntries(this.#conditions)
  }

  report(): HealthReport {
    const blocking = [...this.#conditions].filter(([code]) => !INFORMATIONAL.has(code))
    const reasons = [this.#notLive, this.#notReady, ...blocking.map(([code, message]) => `${code}: ${message}`)]
    const given = reasons.filter(reason => reason !== null)
    return { live: this.#notLive === null, ready: given.length === 0, reasons: given }
  }
}
