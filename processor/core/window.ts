/**
 * Computes the windows of an event time, and which of them are closed to it. Pure arithmetic over milliseconds.
 *
 *   tumbling, size 10:   [0 ······· 10)[10 ······ 20)         15 → [10, 20)
 *   sliding, size 10,    [0 ······· 10)
 *            slide 5:         [5 ······· 15)                   7 → [0, 10) [5, 15)
 */
import type { CompiledWindow } from '#pipeline/compiled-spec.ts'

/** Returns the start of the newest window that contains `time`; −Infinity for all time. */
export function lastWindowStart(window: CompiledWindow, time: number): number {
  if (window === null) return Number.NEGATIVE_INFINITY
  return Math.floor((time - window.offset) / window.slide) * window.slide + window.offset
}

/** Returns the number of windows that contain one event time. */
export function windowsPerEvent(window: CompiledWindow): number {
  return window === null ? 1 : window.size / window.slide
}

/** Returns the end, which does not belong to the window; Infinity for all time. */
export function windowEnd(window: CompiledWindow, start: number): number {
  return window === null ? Number.POSITIVE_INFINITY : start + window.size
}

/** True when the partition's watermark before the event has reached end + allowed lateness (section 5). */
export function isClosed(window: CompiledWindow, start: number, allowedLateness: number, watermark: number): boolean {
  return windowEnd(window, start) + allowedLateness <= watermark
}

const NONE_MISSED: number[] = []

/** Returns the starts of closed windows, ascending. The oldest close first: the tail of last, last − slide, … */
export function missedWindows(
  window: CompiledWindow,
  last: number,
  windows: number,
  allowedLateness: number,
  watermark: number,
): number[] {
  if (window === null) return NONE_MISSED
  const oldest = last - (windows - 1) * window.slide
  if (!isClosed(window, oldest, allowedLateness, watermark)) return NONE_MISSED
  const missed: number[] = []
  for (let start = oldest; start <= last && isClosed(window, start, allowedLateness, watermark); start += window.slide)
    missed.push(start)
  return missed
}
