import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, formatDuration, parseDuration, size } from '#pipeline/units.ts'

describe('durations', () => {
  it.each([
    ['0ms', 0],
    ['1500ms', 1500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
  ])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each(['', '5', 's', '-1s', '+1s', '1.5s', '1 s', '01s', '1d', '1S', '1m30s', '5min', '99999999999s', '１s'])(
    '%s is none',
    text => {
      expect(() => parseDuration(text)).toThrow()
      expect(duration().safeParse(text).success).toBe(false)
    },
  )

  it('have bounds, which are included', () => {
    const bounded = duration('10ms', '1s')
    expect(['9ms', '10ms', '1s', '1001ms'].map(text => bounded.safeParse(text).success)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  it('are written in the largest unit that divides them, and read back', () => {
    expect([0, 1, 1000, 90_000, 7_200_000].map(formatDuration)).toEqual(['0ms', '1ms', '1s', '90s', '2h'])
    fc.assert(fc.property(fc.integer({ min: 0, max: 9_999_999_999 }), ms => parseDuration(formatDuration(ms)) === ms))
  })
})

describe('sizes', () => {
  it.each([
    ['1024', 1024],
    ['64Ki', 65_536],
    ['1Gi', 2 ** 30],
  ])('%s is %i bytes', (text, bytes) => expect(size('1Ki').parse(text)).toBe(bytes))
  it.each(['1023', '1K', '1kB', '-1Ki', '1.5Mi', '', '1ki'])('%s is none of at least 1Ki', text =>
    expect(size('1Ki').safeParse(text).success).toBe(false),
  )
})
