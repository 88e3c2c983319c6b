/** Calls that must succeed in the end: repeated with growing, jittered pauses while their failure may pass. */
import { Retryable } from './errors.ts'
import type { Chance, Clock, Telemetry } from './ports.ts'

/** Longest pause between two tries, ms: recovery is noticed within seconds, a dead server is not hammered. */
const LONGEST_PAUSE_MS = 5000

/**
 * Repeats `call` while it throws Retryable, showing `condition` meanwhile. Null when the signal aborted first.
 * Other errors are thrown.
 */
export async function retrying<T>(
  deps: { clock: Clock; chance: Chance; telemetry: Telemetry; signal: AbortSignal },
  condition: string,
  call: () => Promise<T>,
): Promise<T | null> {
  for (let attempt = 0; !deps.signal.aborted; attempt++) {
    try {
      const answer = await call()
      if (attempt > 0) deps.telemetry.condition(condition, null)
      return answer
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      deps.telemetry.condition(condition, error.message)
      if (attempt === 0) deps.telemetry.log('warn', `${condition}: will try again`, { error: error.message })
      const pause = Math.min(error.afterMs * 2 ** Math.min(attempt, 10), LONGEST_PAUSE_MS)
      await deps.clock.sleep(pause * (0.5 + deps.chance.next() / 2), deps.signal)
    }
  }
  return null
}
