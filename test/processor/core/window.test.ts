import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { latenessOf } from '#pipeline/lateness.ts'
import { isClosed, lastWindowStart, missedWindows, windowEnd, windowsPerEvent } from '#processor/core/window.ts'
import { check } from '#test/support/properties.ts'

const windows = fc
  .record({
    slide: fc.integer({ min: 1, max: 100_000 }),
    times: fc.integer({ min: 1, max: 64 }),
    shift: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  .map(({ slide, times, shift }) => ({ slide, size: slide * times, offset: Math.floor(slide * shift) }))
/** Year 0001 to 9999, negative epochs included. */
const time = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })

describe('windows', () => {
  it('assigns a time to exactly the windows with start <= time < end, aligned to the epoch plus offset', () => {
    check(
      fc.property(windows, time, (window, t) => {
        const last = lastWindowStart(window, t)
        const starts = Array.from({ length: windowsPerEvent(window) }, (_, i) => last - i * window.slide)
        for (const start of starts) {
          expect(start <= t && t < windowEnd(window, start)).toBe(true)
          expect(Math.abs((start - window.offset) % window.slide)).toBe(0)
        }
        // The neighbours on both sides do not contain it, so no window is missing or counted twice.
        expect(last + window.slide > t).toBe(true)
        expect(windowEnd(window, last - windowsPerEvent(window) * window.slide) <= t).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  //  size 10, slide 5:  [0 ······· 10)
  //                          [5 ······· 15)
  it.each([
    [0, [0, -5]],
    [4, [0, -5]],
    [5, [5, 0]],
    [9, [5, 0]],
    [10, [10, 5]],
    [-1, [-5, -10]],
  ])('assigns %d to the sliding windows of 10 by 5 that start at %j', (t, starts) => {
    const window = { size: 10, slide: 5, offset: 0 }
    expect([lastWindowStart(window, t), lastWindowStart(window, t) - window.slide]).toEqual(starts)
  })

  it('closes a window when the watermark reaches end + allowed lateness, not before', () => {
    const window = { size: 10, slide: 10, offset: 0 }
    expect(isClosed(window, 0, 3, 12)).toBe(false)
    expect(isClosed(window, 0, 3, 13)).toBe(true)
    expect(isClosed(window, 0, 0, 10)).toBe(true)
    expect(isClosed(window, 0, 0, Number.NEGATIVE_INFINITY)).toBe(false)
  })

  it('never closes a window with unlimited lateness', () => {
    const window = { size: 10, slide: 5, offset: 0 }
    const unlimited = latenessOf('unlimited')
    expect(missedWindows(window, 5, 2, unlimited, Number.MAX_SAFE_INTEGER)).toEqual([])
    expect(missedWindows(window, 5, 2, 0, Number.MAX_SAFE_INTEGER)).toEqual([0, 5])
  })

  it('never closes a window over all time', () => {
    expect(lastWindowStart(null, 5)).toBe(Number.NEGATIVE_INFINITY)
    expect(isClosed(null, lastWindowStart(null, 5), 0, Number.MAX_SAFE_INTEGER)).toBe(false)
  })
})
