/** Time and chance as they are; the simulator and tests bring their own. */
import { setTimeout as sleep } from 'node:timers/promises'

export const clock = {
  /** ms since the epoch. */
  now: (): number => Date.now(),
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep: (ms: number, signal?: AbortSignal): Promise<void> =>
    sleep(ms, undefined, signal ? { signal } : {}).catch(() => {}),
}

export const chance = {
  /** In [0, 1). */
  next: (): number => Math.random(),
}
