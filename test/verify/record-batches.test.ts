import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CODECS as FRAMINGS, JAVA_SNAPPY, LZ4, ZSTD } from '#test/support/codecs.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch, GZIP } from '#test/support/record-batch.ts'
import { CODECS, checkedDecoder } from '#verify/record-batches.ts'

type Framing = { codec: number; compress: (body: Buffer) => Buffer }

const decompress = (codec: number, bytes: Buffer) => CODECS[codec]!().decompress(bytes)
const LACKING = FRAMINGS.filter(([, { codec }]) => codec !== GZIP.codec) as [string, Framing][]

describe('the codecs that kafkajs lacks', () => {
  it.each(LACKING)('decompress %s', async (_, { codec, compress }) => {
    const sales = Array.from({ length: 9000 }, (_, i) => `{"transaction_id":"id-${i}","amount":"${i % 97}.50"}`)
    const bodies = [Buffer.from(sales.join()), Buffer.alloc(300_000, 'ab'), randomBytes(300_000), Buffer.from('x')]
    for (const body of bodies) expect((await decompress(codec, compress(body))).equals(body)).toBe(true)
  })

  it.each(LACKING)('decompress arbitrary bytes in %s', async (_, { codec, compress }) => {
    const body = fc.array(fc.uint8Array({ min: 97, max: 99, minLength: 1, maxLength: 300 }), { minLength: 1 })
    await check(
      fc.asyncProperty(body, async parts => {
        const bytes = Buffer.concat(parts)
        expect((await decompress(codec, compress(bytes))).equals(bytes)).toBe(true)
      }),
    )
  })

  it.each<[string, Framing]>([
    ['lz4', LZ4],
    ['zstd', ZSTD],
    ['snappy as Java writes it', JAVA_SNAPPY],
  ])('reject %s that is cut off', async (_, { codec, compress }) => {
    const bytes = compress(randomBytes(100_000))
    for (const length of [5, bytes.length >> 1, bytes.length - 5])
      await expect(decompress(codec, bytes.subarray(0, length))).rejects.toThrow()
  })
})

describe('checkedDecoder', () => {
  const batch = () =>
    encodeBatch({ baseOffset: 40, records: [{ delta: 0, timestamp: 0, key: null, value: Buffer.from('sale') }] })
  const decoded = { records: [{ offset: '40' }] }
  const decode = (buffer: Buffer, outcome: object | Error = decoded) => {
    const original = async () => {
      if (outcome instanceof Error) throw outcome
      return outcome as typeof decoded
    }
    return checkedDecoder(original)({ buffer, offset: 0 })
  }
  const unreadable = (reason: string) => ({ records: [{ unreadable: { offset: 40, reason } }] })

  it('returns what kafkajs decodes while the checksum is right', async () => {
    expect(await decode(batch())).toEqual(decoded)
  })

  it('counts offsets itself, unless compaction has removed records', async () => {
    const records = [0, 7, 2].map(delta => ({ delta, timestamp: 0, key: null, value: null }))
    const stated = { records: ['40', '47', '42'].map(offset => ({ offset, key: null })) }
    const offsetsOf = async (lastDelta: number) =>
      (await decode(encodeBatch({ baseOffset: 40, records, lastDelta }), stated)).records
    expect(await offsetsOf(2)).toEqual(['40', '41', '42'].map(offset => ({ offset, key: null })))
    expect(await offsetsOf(9)).toEqual(stated.records)
  })

  it('returns an unreadable message, which names the offset, for a wrong checksum', async () => {
    const bytes = batch()
    bytes[bytes.length - 2]! ^= 1
    expect(await decode(bytes)).toMatchObject(unreadable('its checksum is wrong'))
  })

  it('returns an unreadable message for a batch that kafkajs cannot decode, or that has no header', async () => {
    expect(await decode(batch(), new Error('unknown codec'))).toMatchObject(unreadable('unknown codec'))
    const bytes = batch()
    bytes.writeInt32BE(-5, 8)
    expect(await decode(bytes)).toMatchObject(unreadable('it is shorter than its header'))
  })

  it('leaves a batch to kafkajs that the response does not contain completely', async () => {
    await expect(decode(batch().subarray(0, 70), new Error('partial'))).rejects.toThrow('partial')
  })
})
