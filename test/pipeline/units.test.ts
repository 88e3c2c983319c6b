import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, formatDuration, parseDuration, size } from '#pipeline/units.ts'
import { check } from '#test/support/properties.ts'

describe('duration', () => {
  it.each([
    ['0ms', 0],
    ['1500ms', 1500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['1d', 86_400_000],
    ['30d', 2_592_000_000],
    ['1h30m', 5_400_000],
    ['1d12h', 129_600_000],
    ['2d3h4m5s', 183_845_000],
    ['1d1s', 86_401_000],
  ])('parses %s to %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each([
    '',
    '5',
    's',
    '-1s',
    '+1s',
    '1.5s',
    '1 s',
    '01s',
    '1D',
    '1S',
    '30s1m',
    '1h0m',
    '1h1h',
    '1s500ms',
    '1w',
    '5min',
    '123456d1h',
    '99999999999s',
    '１s',
  ])('refuses "%s"', text => {
    expect(() => parseDuration(text)).toThrow()
    expect(duration().safeParse(text).success).toBe(false)
  })

  it('accepts its bounds and refuses values beyond them', () => {
    const bounded = duration('10ms', '1s')
    expect(['9ms', '10ms', '1s', '1001ms'].map(text => bounded.safeParse(text).success)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  it('formats in the largest unit that divides the value, and parses the result back', () => {
    const formatted = [0, 1, 1000, 90_000, 7_200_000, 129_600_000, 315_360_000_000].map(formatDuration)
    expect(formatted).toEqual(['0ms', '1ms', '1s', '90s', '2h', '36h', '3650d'])
    check(fc.property(fc.integer({ min: 0, max: 9_999_999_999 }), ms => parseDuration(formatDuration(ms)) === ms))
  })
})

describe('size', () => {
  it.each([
    ['1024', 1024],
    ['64Ki', 65_536],
    ['1Gi', 2 ** 30],
  ])('parses %s to %i bytes', (text, bytes) => expect(size('1Ki').parse(text)).toBe(bytes))
  it.each(['1023', '1K', '1kB', '-1Ki', '1.5Mi', '', '1ki'])('refuses "%s" with a minimum of 1Ki', text =>
    expect(size('1Ki').safeParse(text).success).toBe(false),
  )
})
