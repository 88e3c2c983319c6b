/** Compressed requests. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const MAX_BYTES = 10_000
const { app, post, records } = await ingestApp(ecommerce('unused:9092', 'transactions').spec, {
  maxBodyBytes: MAX_BYTES,
})

const sale = (note = '') => ecommerceSale({ note })
/** A sale of `length` bytes. */
const saleOf = (length: number) => sale('x'.repeat(length - sale().length))

const ENCODINGS: [title: string, name: string, compress: (text: string) => Buffer][] = [
  ['gzip', 'gzip', gzipSync],
  ['GZIP in capitals', 'GZIP', gzipSync],
  ['x-gzip', 'x-gzip', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['deflate without the zlib format', 'deflate', deflateRawSync],
  ['br', 'br', brotliCompressSync],
  ['identity', 'identity', Buffer.from],
]

describe.each(ENCODINGS)('a request in %s', (_title, name, compress) => {
  const headers = { 'content-encoding': name }

  it('accepts an encoded request, and Kafka gets the original bytes', async () => {
    expect(await post(compress(`[${sale()}, ${sale('b')}]`), headers)).toMatchObject({ status: 202 })
    expect(records.splice(0).map(({ value }) => value)).toEqual([sale(), sale('b')])
  })

  it('accepts an encoded request at the size limit after decompression, and refuses it above', async () => {
    expect(await post(compress(saleOf(MAX_BYTES)), headers)).toMatchObject({ status: 202 })
    records.splice(0)
    expect(await post(compress(saleOf(MAX_BYTES + 1)), headers)).toEqual({
      status: 413,
      body: { error: expect.stringContaining('more than 10000 bytes (after decompression)') },
    })
  })
})

describe.each(ENCODINGS.filter(([, name]) => name !== 'identity'))(
  'a corrupt request in %s',
  (_title, name, compress) => {
    const headers = { 'content-encoding': name }
    const whole = compress(saleOf(5000))

    it.each([
      ['empty', Buffer.alloc(0)],
      ['cut off', whole.subarray(0, -6)],
      ['followed by other bytes', Buffer.concat([whole, Buffer.from('garbage')])],
      ['not compressed', Buffer.from(sale())],
    ])('gets 400 if its body is %s', async (_case, body) => {
      const { status, body: answer } = await post(body, headers)
      expect([status, answer.error]).toEqual([
        400,
        expect.stringMatching(/^the header Content-Encoding is \S+, but the body/),
      ])
      expect(records).toEqual([])
    })
  },
)

it.each(['zstd', 'gzip, br', 'constructor', 'y'.repeat(5000)])(
  'refuses the encoding %s with 415 and the supported ones',
  async name => {
    const headers = { 'content-type': 'application/json', 'content-encoding': name }
    const response = await app.inject({ method: 'POST', url: '/transactions', headers, payload: sale() })
    expect([response.statusCode, response.headers['accept-encoding']]).toEqual([415, 'gzip, deflate, br'])
    expect(response.json().error).toMatch(
      /^the header Content-Encoding is .{1,101}; set it to one of gzip, deflate, br/,
    )
  },
)
