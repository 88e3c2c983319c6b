/** Pauses between attempts of a failed call. */

export type BackOff = {
  /** Number of failures before this one; 0 for the first. */
  attempt: number
  /** Pause after the first failure, ms; it doubles with each further one. */
  baseMs: number
  /** Longest pause, ms. */
  capMs: number
}

/** 2 ** 30 ms is 12 days, which is above every cap. Without a bound, a base of 0 times Infinity would be NaN. */
const MAX_DOUBLINGS = 30

/**
 * Returns an exponential back-off in ms. With `chance`, the pause is random between half of it and all of it: many
 * clients of a restarted server then spread their retries, and none retries at once.
 */
export function backOff({ attempt, baseMs, capMs }: BackOff, chance?: { /** In [0, 1). */ next(): number }): number {
  const longest = Math.min(capMs, baseMs * 2 ** Math.min(attempt, MAX_DOUBLINGS))
  return chance ? longest * (0.5 + chance.next() / 2) : longest
}
