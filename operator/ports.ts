/** What the operator needs of the world beside the API server: time, chance, and somebody to tell. */

export type Clock = {
  /** ms since the epoch. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export type Chance = { /** In [0, 1). */ next(): number }

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void

/** Exponential back-off with full jitter, so that many clients of a server that comes back do not come at once. */
export function backOff(failures: number, chance: Chance, firstMs = 200, mostMs = 60_000): number {
  const most = Math.min(mostMs, firstMs * 2 ** Math.min(failures, 20))
  return most / 2 + (chance.next() * most) / 2
}
