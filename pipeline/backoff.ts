/** How long to pause before a failed call is repeated. */

export type BackOff = {
  /** Failures before this one: 0 for the first. */
  attempt: number
  /** Pause after the first failure, ms; it doubles with each further one. */
  baseMs: number
  /** Longest pause, ms. */
  capMs: number
}

/** 2 ** 30 ms is 12 days: beyond every cap, and below Infinity, which a base of 0 would turn into NaN. */
const MAX_DOUBLINGS = 30

/**
 * Exponential back-off, in ms. With `chance`, the pause is random between half of it and all of it, so that many clients
 * of a server that comes back do not return in step. Half of it is kept so that nobody retries at once.
 */
export function backOff({ attempt, baseMs, capMs }: BackOff, chance?: { /** In [0, 1). */ next(): number }): number {
  const longest = Math.min(capMs, baseMs * 2 ** Math.min(attempt, MAX_DOUBLINGS))
  return chance ? longest * (0.5 + chance.next() / 2) : longest
}
