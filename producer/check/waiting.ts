/** Steps of a check: each is attempted until it succeeds. It reports what it waits for, and how long it took. */
import { setTimeout as sleep } from 'node:timers/promises'
import { serverText } from '#common/redact.ts'
import { formatDuration } from '#pipeline/units.ts'
import { UserError } from '#pipeline/user-error.ts'

/** The check failed; the message names the cause. */
export class CheckFailed extends UserError {}

/** A result, or the reason why it is not available yet. */
export type Attempt<T> = { found: T } | { pending: string }

export type Output = { step(line: string): void; progress(line: string): void }

const RETRY_EVERY_MS = 200
const REPORT_EVERY_MS = 5000
const LAST_REQUEST_MS = 2000

/** Runs steps within one timeout for all of them. */
export class Steps {
  readonly #output: Output
  readonly #timeoutMs: number
  readonly #startedAt = performance.now()

  constructor(timeoutMs: number, output: Output) {
    this.#timeoutMs = timeoutMs
    this.#output = output
  }

  get elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAt)
  }

  /** Returns the timeout of one request, ms. The last request may exceed the total a little, so that it can still report a cause. */
  requestTimeout(atMost: number): number {
    return Math.max(LAST_REQUEST_MS, Math.min(atMost, this.#timeoutMs - this.elapsedMs))
  }

  /**
   * Repeats `attempt` until it finds its result. Throws CheckFailed with the last reason on timeout, and rethrows errors of
   * `attempt` at once. `goal` completes "waiting for …".
   */
  async run<T>(goal: string, attempt: () => Promise<Attempt<T>>, describe: (found: T) => string): Promise<T> {
    const startedAt = this.elapsedMs
    for (let reportedAt = startedAt; ; await sleep(RETRY_EVERY_MS)) {
      const result = await attempt()
      if ('found' in result) {
        this.#output.step(`ok  ${describe(result.found)}  (${this.elapsedMs - startedAt} ms)`)
        return result.found
      }
      if (this.elapsedMs >= this.#timeoutMs) {
        const timeout = formatDuration(this.#timeoutMs)
        throw new CheckFailed(`timed out after ${timeout} waiting for ${goal}: ${result.pending}`)
      }
      if (this.elapsedMs - reportedAt < REPORT_EVERY_MS) continue
      reportedAt = this.elapsedMs
      this.#output.progress(`…   ${Math.round(reportedAt / 1000)} s: waiting for ${goal}: ${result.pending}`)
    }
  }
}

/** Returns the message of the innermost cause. Node's errors about several addresses only have a code. */
export function causeOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown }
  if (cause) return causeOf(cause)
  return serverText(message || code || String(error))
}
