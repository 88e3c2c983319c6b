/** Allowed lateness: a duration, or `unlimited`, under which no window is ever closed (contract, section 5). */
import { durationOr } from './units.ts'

export const UNLIMITED = 'unlimited'
/** In documents, because JSON has no number for infinity. */
export type WrittenLateness = number | typeof UNLIMITED

/** A field of a document. Output: milliseconds, or `unlimited`. */
export const lateness = () => durationOr(UNLIMITED)

/** Returns milliseconds; Infinity for `unlimited`. */
export function latenessOf(written: WrittenLateness): number {
  return written === UNLIMITED ? Number.POSITIVE_INFINITY : written
}
