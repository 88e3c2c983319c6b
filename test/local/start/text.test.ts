import { describe, expect, it } from 'vitest'
import { timeText, wrap } from '#local/start/text.ts'

const NOW = Date.parse('2026-11-23T17:19:40.000Z')
const SECOND = 1000
const DAY = 86_400 * SECOND

describe('timeText', () => {
  it.each([
    [0, '17:19:40Z (0 s ago)'],
    [5.6 * SECOND, '17:19:34Z (6 s ago)'],
    [119 * SECOND, '17:17:41Z (119 s ago)'],
    [180 * SECOND, '17:16:40Z (3 min ago)'],
    [5 * 3600 * SECOND, '12:19:40Z (5 hours ago)'],
    [18 * 3600 * SECOND, '2026-11-22 23:19:40Z (18 hours ago)'],
    [332 * DAY, '2025-12-26 17:19:40Z (332 days ago)'],
    [-0.4 * SECOND, '17:19:40Z (0 s ago)'],
    [-3 * SECOND, '17:19:43Z (3 s ahead of the clock)'],
    [-130 * SECOND, '17:21:50Z (2 min ahead of the clock)'],
    [-8 * 3600 * SECOND, '2026-11-24 01:19:40Z (8 hours ahead of the clock)'],
    [-5000 * DAY, '2040-08-01 17:19:40Z (5,000 days ahead of the clock)'],
  ])('shows a time %d ms before now as %s', (age, text) => {
    expect(timeText(NOW - age, NOW)).toBe(text)
  })
})

describe('wrap', () => {
  it('breaks between words, indents later lines, and breaks only words that are too long', () => {
    expect(wrap('  a short text', 40, 4)).toEqual(['  a short text'])
    expect(wrap('  worker-1  broker not found', 16, 4)).toEqual(['  worker-1 ', '    broker not', '    found'])
    expect(wrap(`see ${'x'.repeat(20)}`, 10, 2)).toEqual(['see', '  xxxxxxxx', '  xxxxxxxx', '  xxxx'])
    expect(wrap('', 10, 2)).toEqual([])
  })

  it('loses no character in a terminal that is narrower than the indentation', () => {
    for (const columns of [0, 1]) expect(wrap('abcd', columns, 4)).toEqual(['a', 'b', 'c', 'd'])
  })
})
