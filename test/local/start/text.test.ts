import { describe, expect, it } from 'vitest'
import { wrap } from '#local/start/text.ts'

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
