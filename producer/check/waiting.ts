/** Steps of a check: each is asked for until it is there, says what it waits for meanwhile, and how long it took. */
import { setTimeout as sleep } from 'node:timers/promises'
import { formatDuration } from '#pipeline/units.ts'
import { UserError } from '#pipeline/user-error.ts'

/** The check has failed; the message names what is at fault. */
export class CheckFailed extends UserError {}

/** There, or what keeps it from being there: to be asked again. */
export type Answer<T> = { found: T } | { waitsFor: string }

export type Say = { step(line: string): void; progress(line: string): void }

const ASK_EVERY_MS = 200
const TELL_EVERY_MS = 5000
const LAST_REQUEST_MS = 2000

/** One time-out for all steps together. */
export class Steps {
  readonly #say: Say
  readonly #timeoutMs: number
  readonly #startedAt = performance.now()

  constructor(timeoutMs: number, say: Say) {
    this.#timeoutMs = timeoutMs
    this.#say = say
  }

  get takenMs(): number {
    return Math.round(performance.now() - this.#startedAt)
  }

  /** How long one request may take. The last one may outlast the time-out a little: cut short, it would tell nothing. */
  patience(atMost: number): number {
    return Math.max(LAST_REQUEST_MS, Math.min(atMost, this.#timeoutMs - this.takenMs))
  }

  /** Throws CheckFailed when the time is over, with what was waited for last; and what `ask` throws, at once. */
  async take<T>(what: string, ask: () => Promise<Answer<T>>, describe: (found: T) => string): Promise<T> {
    const startedAt = this.takenMs
    for (let toldAt = startedAt; ; await sleep(ASK_EVERY_MS)) {
      const answer = await ask()
      if ('found' in answer) {
        this.#say.step(`ok  ${describe(answer.found)}  (${this.takenMs - startedAt} ms)`)
        return answer.found
      }
      if (this.takenMs >= this.#timeoutMs)
        throw new CheckFailed(`${what}: not within ${formatDuration(this.#timeoutMs)}: ${answer.waitsFor}`)
      if (this.takenMs - toldAt < TELL_EVERY_MS) continue
      toldAt = this.takenMs
      this.#say.progress(`…   ${Math.round(toldAt / 1000)} s: ${what}: ${answer.waitsFor}`)
    }
  }
}

/** What lies under an error, in its own words; Node's errors about several addresses have a code alone. */
export function causeOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown }
  if (cause) return causeOf(cause)
  return message || code || String(error)
}
