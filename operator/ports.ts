/** Dependencies of the operator beside the API server: a clock, randomness and a log. */

export type Clock = {
  /** ms since the epoch. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export type Chance = { /** In [0, 1). */ next(): number }

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void
