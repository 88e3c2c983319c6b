/** Event-time windows, half-open: `[start, end)`. */
import type { Window } from './spec.ts'

/** Returns the starts of the windows that contain an event time, ascending; −Infinity for the window over all time. */
export function windowStarts(window: Window, time: number): number[] {
  if (window.infinite) return [Number.NEGATIVE_INFINITY]
  const { size, slide, offset } = window
  const starts: number[] = []
  let start = Math.floor((time - offset) / slide) * slide + offset
  for (; start > time - size; start -= slide) starts.unshift(start)
  return starts
}

export function windowEnd(window: Window, start: number): number {
  return window.infinite ? Number.POSITIVE_INFINITY : start + window.size
}
