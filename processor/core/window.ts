/**
 * Which windows an event time falls into, and which of them are closed to it. Pure arithmetic over milliseconds.
 *
 *   tumbling, size 10:   [0 ······· 10)[10 ······ 20)         15 → [10, 20)
 *   sliding, size 10,    [0 ······· 10)
 *            slide 5:         [5 ······· 15)                   7 → [0, 10) [5, 15)
 */
import type { CompiledWindow } from '#pipeline/compiled-spec.ts'

/** Start of the newest window that holds `time`. −Infinity for all time. */
export function lastWindowStart(window: CompiledWindow, time: number): number {
  if (window === null) return Number.NEGATIVE_INFINITY
  return Math.floor((time - window.offset) / window.slide) * window.slide + window.offset
}

/** How many windows hold any one event time. */
export function windowsPerEvent(window: CompiledWindow): number {
  return window === null ? 1 : window.size / window.slide
}

/** Half-open: the end does not belong to the window. Infinity for all time. */
export function windowEnd(window: CompiledWindow, start: number): number {
  return window === null ? Number.POSITIVE_INFINITY : start + window.size
}

/** Closed to an event when the partition's watermark before it has reached end + allowed lateness (section 5). */
export function isClosed(window: CompiledWindow, start: number, allowedLateness: number, watermark: number): boolean {
  return windowEnd(window, start) + allowedLateness <= watermark
}

const NONE_MISSED: number[] = []

/** The oldest windows close first, so the missed ones are the tail of last, last − slide, … */
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
