import fc from 'fast-check'
import { expect, it } from 'vitest'
import { hash128, viewOf } from '#processor/core/decode/hash.ts'
import { check } from '#test/support/properties.ts'

/** From the reference implementation (mmh3.hash_bytes(…, x64arch=False)), seed 0. */
const VECTORS: [string, string][] = [
  ['', '00000000000000000000000000000000'],
  ['a', '3c9394a71bb056551bb056551bb05655'],
  ['abc', 'd1c6cd75a506b0a2a506b0a2a506b0a2'],
  ['0123456789abcdef', '09447dfb0ad3ae369b1dad48fd3b2b57'],
  ['The quick brown fox jumps over the lazy dog', 'c383152f672ceeec6cf67b5d2c1de9e5'],
  ['Zürich ☃', 'b50e4013f1f92bfef7cf61e7f5c67895'],
  ['3f2c9a34-58c1-4b53-9d1e-6d3f0f3f9e77', 'fc7ba95f823a9a1e9b1e5749e419f3fc'],
]

function hashOf(bytes: Buffer, start = 0, end = bytes.length, seed = 0): string {
  const out = new Int32Array(4)
  hash128(viewOf(bytes), start, end, out, seed)
  return Buffer.from(out.buffer).toString('hex')
}

it.each(VECTORS)('hashes %j as MurmurHash3 x86_128 does', (text, hash) => {
  expect(hashOf(Buffer.from(text))).toBe(hash)
})

it('uses the seed', () => {
  expect(hashOf(Buffer.from('abc'), 0, 3, 0x5a1e5)).toBe('cf7c03b74701de694701de694701de69')
})

it('ignores the bytes around the hashed range', () => {
  check(
    fc.property(fc.uint8Array(), fc.uint8Array({ maxLength: 70 }), fc.uint8Array(), (before, bytes, after) => {
      const start = before.length
      const within = hashOf(Buffer.concat([before, bytes, after]), start, start + bytes.length)
      expect(within).toBe(hashOf(Buffer.from(bytes)))
    }),
  )
})

it('changes all four words with every bit of the input', () => {
  const base = Buffer.from('0123456789abcdef0123456789abcdef012')
  const hash = hashOf(base)
  for (let bit = 0; bit < base.length * 8; bit++) {
    const other = Buffer.from(base)
    other[bit >> 3]! ^= 1 << (bit & 7)
    const words = hashOf(other).match(/.{8}/g)!
    words.forEach((word, i) => {
      expect(word).not.toBe(hash.slice(i * 8, i * 8 + 8))
    })
  }
})
