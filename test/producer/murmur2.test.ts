import { compatibilityPartitioner, murmur2 as reference } from '@platformatic/kafka'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { murmur2 } from '#producer/murmur2.ts'
import { check } from '#test/support/properties.ts'

it('returns the same bits as the client library', () => {
  check(
    fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
      const key = Buffer.from(bytes)
      expect(murmur2(key)).toBe(reference(key) | 0)
      expect(murmur2(key) & 0x7fffffff).toBe(compatibilityPartitioner({} as never, key))
    }),
  )
})

// From Apache Kafka's UtilsTest.
it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
])('hashes %s as Apache Kafka does', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})
