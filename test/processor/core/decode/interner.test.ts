import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Interner } from '#processor/core/decode/interner.ts'
import { check } from '#test/support/properties.ts'

const wellFormed = fc.string({ unit: 'binary', maxLength: 12 })

it('gives equal texts the same code and different texts different codes, from 0 on', () => {
  check(
    fc.property(fc.array(wellFormed, { maxLength: 200 }), texts => {
      const interner = new Interner()
      const codes = new Map<string, number>()
      for (const text of texts) {
        const expected = codes.get(text) ?? codes.size
        codes.set(text, expected)
        const bytes = Buffer.from(`<${text}>`)
        expect(interner.intern(bytes, 1, bytes.length - 1)).toBe(expected)
        expect(interner.internText(text)).toBe(expected)
      }
      expect(interner.size).toBe(codes.size)
      for (const [text, code] of codes) {
        expect(interner.text(code)).toBe(text)
        expect(interner.byteLength(code)).toBe(Buffer.byteLength(text))
      }
    }),
  )
})

it('keeps codes while it grows past many texts', () => {
  const interner = new Interner()
  for (let i = 0; i < 50_000; i++) expect(interner.internText(`store-${i}`)).toBe(i)
  for (let i = 0; i < 50_000; i++) expect(interner.internText(`store-${i}`)).toBe(i)
  expect(interner.text(49_999)).toBe('store-49999')
  expect(interner.bytes).toBeGreaterThan(50_000 * 'store-12345'.length)
})

it('refuses bytes that are not UTF-8 and keeps none of them', () => {
  const interner = new Interner()
  expect(interner.intern(Buffer.from([0x61, 0xff]), 0, 2)).toBe(-1)
  expect(interner.size).toBe(0)
  expect(interner.bytes).toBe(0)
})

it('starts over after clear', () => {
  const interner = new Interner()
  interner.internText('books')
  expect(interner.text(0)).toBe('books')
  interner.clear()
  expect(interner.size).toBe(0)
  expect(interner.bytes).toBe(0)
  expect(interner.internText('toys')).toBe(0)
  expect(interner.text(0)).toBe('toys')
  expect(interner.internText('books')).toBe(1)
})
