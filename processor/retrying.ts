/** Retries calls that must succeed in the end, with growing, jittered pauses while their failure is transient. */
import { backOff } from '#pipeline/backoff.ts'
import type { WorkerCode } from '#pipeline/conditions.ts'
import { Retryable } from './errors.ts'
import type { Chance, Clock, Telemetry } from './ports.ts'

/** Longest pause between two tries, ms: recovery is noticed within seconds, a dead server is not overloaded. */
const LONGEST_PAUSE_MS = 5000

/**
 * Repeats `call` while it throws Retryable, and shows `condition` (or the error's own) meanwhile. Resolves with the
 * call's result, or with null when the signal aborts first. Throws every other error.
 */
export async function retrying<T>(
  deps: { clock: Clock; chance: Chance; telemetry: Telemetry; signal: AbortSignal },
  condition: WorkerCode,
  call: () => Promise<T>,
): Promise<T | null> {
  const { telemetry } = deps
  let shown: WorkerCode | null = null
  for (let attempt = 0; !deps.signal.aborted; attempt++) {
    try {
      const result = await call()
      if (shown !== null) telemetry.condition(shown, null)
      return result
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      const code = error.condition ?? condition
      if (shown !== null && shown !== code) telemetry.condition(shown, null)
      if (shown !== code) telemetry.log('warn', 'retrying', { condition: code, error: error.message })
      telemetry.condition(code, error.message)
      shown = code
      const pause = { attempt, baseMs: error.afterMs, capMs: LONGEST_PAUSE_MS }
      await deps.clock.sleep(backOff(pause, deps.chance), deps.signal)
    }
  }
  return null
}

/**
 * Resolves with the call's result, or with null as soon as the signal aborts; the call itself is not cancelled. Each call
 * has its own promise for the abort: one that lives longer would keep the results of all calls in memory.
 */
export async function unlessAborted<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T | null> {
  if (signal.aborted) return null
  let stop = () => {}
  const stopped = new Promise<null>(resolve => {
    stop = () => resolve(null)
  })
  signal.addEventListener('abort', stop)
  try {
    return await Promise.race([call(), stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
