import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isUtf8 } from '#processor/core/decode/utf8.ts'
import { check } from '#test/support/properties.ts'

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Bytes at the limits of UTF-8, so that nearly valid sequences are common. */
const BORDERS = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
  0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
]

it('agrees with TextDecoder on sequences at the limits of UTF-8', () => {
  let valid = 0
  check(
    fc.property(fc.array(fc.constantFrom(...BORDERS), { maxLength: 6 }), list => {
      const bytes = Uint8Array.from(list)
      expect(isUtf8(bytes, 0, bytes.length)).toBe(decodes(bytes))
      if (list.some(byte => byte > 0x7f) && decodes(bytes)) valid++
    }),
    { numRuns: 20_000 },
  )
  expect(valid).toBeGreaterThan(100)
})

it('accepts every code point, but not without its last byte', () => {
  for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 251) {
    if (code >= 0xd800 && code < 0xe000) continue
    const bytes = Buffer.from(String.fromCodePoint(code))
    expect(isUtf8(bytes, 0, bytes.length)).toBe(true)
    if (bytes.length > 1) expect(isUtf8(bytes, 0, bytes.length - 1)).toBe(false)
  }
})
