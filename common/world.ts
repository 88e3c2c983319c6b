/** The real clock and random numbers; the simulator and tests use their own. */
import { setTimeout as sleep } from 'node:timers/promises'

export const clock = {
  /** ms since the epoch. */
  now: (): number => Date.now(),
  /** Resolves after `ms`, or as soon as the signal aborts. */
  sleep: (ms: number, signal?: AbortSignal): Promise<void> =>
    sleep(ms, undefined, signal ? { signal } : {}).catch(() => {}),
}

export const chance = {
  /** Uniform in [0, 1). */
  next: (): number => Math.random(),
}
