/** What the operator needs beside the API server: a clock, randomness and a log. */

export type Clock = {
  /** ms since the epoch. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export type Chance = { /** In [0, 1). */ next(): number }

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void

/** Exponential back-off in ms; jitter over its upper half keeps clients of a recovering server from retrying together. */
export function backOff(failures: number, chance: Chance, firstMs = 200, maxMs = 60_000): number {
  const limit = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 20))
  return limit / 2 + (chance.next() * limit) / 2
}
