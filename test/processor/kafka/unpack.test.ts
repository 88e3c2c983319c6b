import { createHash, randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_RECORD_BYTES } from '#pipeline/limits.ts'
import { RecordSplitter } from '#processor/adapters/kafka/record-splitter.ts'
import { unpack } from '#processor/adapters/kafka/unpack.ts'
import { BATCH_HEADER, BatchCursor, type Cut, type Piece } from '#processor/core/batches.ts'
import { STORED_FORMS } from '#test/support/batch-forms.ts'
import { CODECS, JAVA_SNAPPY, LZ4, ZSTD } from '#test/support/codecs.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch, GZIP, type TestRecord } from '#test/support/record-batch.ts'

const PIECE_BYTES = 256 << 10
type Seen = { offset: number; key: Buffer | null; value: Buffer | null; headers: [string, string][]; cut: Cut | null }

async function walk(
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
): Promise<{ seen: Seen[]; next: number; largest: number }> {
  const cursor = new BatchCursor()
  const seen: Seen[] = []
  let largest = 0
  cursor.begin([], 0)
  for await (const piece of pieces) {
    largest = Math.max(largest, piece.data.length)
    cursor.feed(piece)
    while (cursor.next()) {
      const part = (start: number, end: number) => (end < 0 ? null : Buffer.from(cursor.bytes.subarray(start, end)))
      const [key, value] = [part(cursor.keyStart, cursor.keyEnd), part(cursor.valueStart, cursor.valueEnd)]
      seen.push({ offset: cursor.offset, key, value, headers: cursor.headers(), cut: cursor.cut })
    }
  }
  return { seen, next: cursor.nextOffset, largest }
}

const record = (delta: number, value: Buffer | null, key: Buffer | null = null): TestRecord => ({
  delta,
  timestamp: 1000 + delta,
  key,
  value,
  headers: [['h', String(delta)]],
})

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('unpacked batches', () => {
  it.each(CODECS)(
    'unpacks the records of a batch that was compressed with %s, in pieces of bounded size',
    async (_name, compression) => {
      const noise = randomBytes(100)
      const records = Array.from({ length: 20_000 }, (_, i) => record(i, Buffer.concat([noise, Buffer.from(`${i}`)])))
      const data = encodeBatch({ baseOffset: 0, records, lastDelta: 20_007, compression })
      const { seen, next, largest } = await walk(unpack(data))
      expect(seen.length).toBe(records.length)
      expect(seen.every(({ offset, value }, i) => offset === i && value!.equals(records[i]!.value!))).toBe(true)
      expect(seen.at(-1)!.headers).toEqual([['h', '19999']])
      expect(next).toBe(20_008)
      expect(largest).toBeLessThan(PIECE_BYTES + 1000)
    },
  )

  it.each(STORED_FORMS)(
    'unpacks the records of %s, whether the batch is divided or not',
    async (_name, compression) => {
      const records = Array.from({ length: 60 }, (_, i) => record(i, Buffer.alloc(100_000, i)))
      const data = encodeBatch({ baseOffset: 0, records, compression })
      for (const pieceBytes of [8 << 20, 1000]) {
        const { seen, next } = await walk(unpack(data, pieceBytes))
        expect(seen.length).toBe(records.length)
        expect(seen.every(({ value }, i) => value!.equals(records[i]!.value!))).toBe(true)
        expect(next).toBe(records.length)
      }
    },
  )

  it('unpacks the records of a batch that is compressed in thousands of parts', async () => {
    const records = Array.from({ length: 5000 }, (_, i) => record(i, Buffer.from(`${i}`)))
    const inParts = (compress: (part: Buffer) => Buffer) => (body: Buffer) =>
      Buffer.concat(
        Array.from({ length: Math.ceil(body.length / 10) }, (_, i) => compress(body.subarray(10 * i, 10 * i + 10))),
      )
    for (const [codec, compress] of [
      [1, gzipSync],
      [4, zstdCompressSync],
    ] as const) {
      const { seen } = await walk(
        unpack(encodeBatch({ baseOffset: 0, records, compression: { codec, compress: inParts(compress) } })),
      )
      expect(seen.map(({ value }) => String(value))).toEqual(records.map((_, i) => String(i)))
    }
  })

  it.each([[[0, 7, 2]], [[0, 0, 0, 3]], [[0, -1, 2]], [[9, 1, 2]]])(
    'unpacks one record for each offset, and leaves no gap before the next batch, if a producer states the offsets %j',
    async deltas => {
      const records = deltas.map((delta, i) => record(delta, Buffer.from(`sale ${i}`)))
      const next = { baseOffset: deltas.length, records: [record(0, Buffer.from('honest'))] }
      const data = Buffer.concat([encodeBatch({ baseOffset: 0, records }), encodeBatch(next)])
      for (const pieceBytes of [PIECE_BYTES, 1]) {
        const { seen, next } = await walk(unpack(data, pieceBytes))
        expect(seen.map(({ offset, value }) => [offset, String(value)])).toEqual([
          ...deltas.map((_, i) => [i, `sale ${i}`]),
          [deltas.length, 'honest'],
        ])
        expect(next).toBe(deltas.length + 1)
      }
    },
  )

  it('keeps the position before the next batch while it reads a batch whose producer states a greater offset', () => {
    const cursor = new BatchCursor()
    cursor.begin([], 0)
    cursor.feed({ data: encodeBatch({ baseOffset: 0, records: [0, 7, 2].map(i => record(i, null)) }), cut: null })
    const positions: number[] = []
    while (cursor.next()) positions.push(cursor.nextOffset)
    expect(positions).toEqual([1, 2, 3])
  })

  it('unpacks the records of a large batch that is not compressed, in pieces of bounded size', async () => {
    const records = Array.from({ length: 20_000 }, (_, i) => record(i, Buffer.alloc(100, i)))
    const { seen, largest } = await walk(unpack(encodeBatch({ baseOffset: 0, records })))
    expect(seen.length).toBe(records.length)
    expect(largest).toBeLessThan(PIECE_BYTES + 1000)
  })

  it('returns the received bytes themselves for small batches that are not compressed', async () => {
    const one = encodeBatch({ baseOffset: 0, records: [record(0, Buffer.from('a'))] })
    const data = Buffer.concat([one, one, one.subarray(0, 70)])
    const pieces: Piece[] = []
    for await (const piece of unpack(data)) pieces.push(piece)
    expect(pieces).toHaveLength(1)
    expect(pieces[0]!.data.buffer).toBe(data.buffer)
    expect(pieces[0]!.data).toHaveLength(2 * one.length)
  })

  it.each([
    ['gzip', GZIP],
    ['zstd', ZSTD],
    ['lz4', LZ4],
    ['snappy as Java writes it', JAVA_SNAPPY],
  ])('expand a bomb of %s in pieces of bounded size', async (_name, compression) => {
    const value = Buffer.alloc(1 << 20)
    const records = Array.from({ length: 100 }, (_, i) => record(i, value))
    const data = encodeBatch({ baseOffset: 0, records, compression })
    expect(data.length).toBeLessThan(6 << 20)
    let [count, largest] = [0, 0]
    const cursor = new BatchCursor()
    cursor.begin([], 0)
    for await (const piece of unpack(data)) {
      largest = Math.max(largest, piece.data.length)
      cursor.feed(piece)
      while (cursor.next()) count++
    }
    expect(count).toBe(100)
    expect(largest).toBeLessThan(2 << 20)
  })

  it('returns a prefix, the size and the hash of a record that is too large, and all of the records around it', async () => {
    const large = Buffer.concat([Buffer.from('begin'), Buffer.alloc(3 * MAX_RECORD_BYTES, 'x')])
    const key = Buffer.from('key')
    const records = [
      record(0, Buffer.from('a')),
      record(1, large, key),
      record(2, null),
      record(3, large, large),
      record(4, key),
    ]
    const { seen, next, largest } = await walk(unpack(encodeBatch({ baseOffset: 0, records, compression: GZIP })))
    expect(seen.map(({ offset, cut }) => [offset, cut])).toEqual([
      [0, null],
      [1, { valueBytes: large.length, valueSha256: sha256(large) }],
      [2, null],
      [3, { valueBytes: 0, valueSha256: sha256(Buffer.alloc(0)) }],
      [4, null],
    ])
    expect(seen[1]!.key).toEqual(key)
    expect(seen[1]!.value!.equals(large.subarray(0, 1 << 20))).toBe(true)
    expect(seen[3]).toMatchObject({ key: null, value: null })
    expect(seen[4]!.value).toEqual(key)
    expect(next).toBe(5)
    expect(largest).toBeLessThan(2 << 20)
  })

  it('hold a record of exactly the greatest size whole', async () => {
    const overhead = 1 + 1 + 1 + 1 + 4 + 1 + 1 + 1 + 1 + 1 // the fields around a value whose length takes four bytes
    const fits = Buffer.alloc(MAX_RECORD_BYTES - overhead)
    const records = [record(0, fits), { ...record(0, Buffer.alloc(fits.length + 1)), delta: 1, timestamp: 1000 }]
    const { seen } = await walk(unpack(encodeBatch({ baseOffset: 0, records, compression: GZIP })))
    expect(seen.map(({ cut }) => cut === null)).toEqual([true, false])
    expect(seen[0]!.value).toHaveLength(fits.length)
  })

  it('do not depend on how the decompressor divides its output', async () => {
    const values = fc.array(fc.option(fc.uint8Array({ maxLength: 50 })), { minLength: 1, maxLength: 20 })
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
    await check(
      fc.asyncProperty(values, sizes, fc.integer({ min: 1, max: 200 }), async (values, sizes, pieceBytes) => {
        const records = values.map((value, i) => record(i, value === null ? null : Buffer.from(value)))
        const batch = encodeBatch({ baseOffset: 0, records })
        const splitter = new RecordSplitter(batch, pieceBytes)
        const pieces: Piece[] = []
        for (let at = BATCH_HEADER, i = 0; at < batch.length; i++)
          pieces.push(...splitter.push(batch.subarray(at, (at += sizes[i % sizes.length]!))))
        const { seen, next } = await walk([...pieces, splitter.finish()])
        expect(seen.map(({ offset, value, headers }) => ({ offset, value, headers }))).toEqual(
          records.map(({ delta, value, headers }) => ({ offset: delta, value, headers })),
        )
        expect(next).toBe(records.length)
      }),
    )
  })
})

describe('a broken batch', () => {
  const records = [record(0, Buffer.alloc(5000, 'a')), record(1, Buffer.alloc(5000, 'b'))]
  const cut = (compress: (body: Buffer) => Buffer) => (body: Buffer) => compress(body).subarray(0, -9)
  const huge = Buffer.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0)

  it.each([
    ['gzip that ends early', { codec: 1, compress: cut(gzipSync) }, /unexpected end of file/],
    ['zstd that ends early', { codec: 4, compress: cut(zstdCompressSync) }, /does not begin with a whole zstd frame/],
    ['gzip without a header', { codec: 1, compress: () => Buffer.alloc(20) }, /does not begin with a gzip header/],
    ['an lz4 frame that ends early', { codec: 3, compress: cut(LZ4.compress) }, /lz4/],
    ['lz4 without a frame', { codec: 3, compress: () => Buffer.alloc(20) }, /does not begin with an lz4 frame/],
    ['snappy that claims gigabytes', { codec: 2, compress: () => huge }, /claims 4294967295 bytes/],
    ['a snappy block that is cut off', { codec: 2, compress: cut(JAVA_SNAPPY.compress) }, /snappy block is longer/],
    ['a codec that Kafka does not have', { codec: 5, compress: (body: Buffer) => body }, /codec 5 is not supported/],
    [
      'records that end early',
      { codec: 1, compress: (body: Buffer) => gzipSync(body.subarray(0, -1)) },
      /is longer than the batch|holds 1 whole records instead of 2/,
    ],
    [
      'one record too many',
      { codec: 1, compress: (body: Buffer) => gzipSync(Buffer.concat([body, Buffer.of(0x02, 0)])) },
      /more bytes than its records|ends inside a field|instead of 2/,
    ],
  ])('refuses a broken batch, whether it is divided or not: %s', async (_name, compression, message) => {
    const data = encodeBatch({ baseOffset: 0, records, compression })
    await expect(walk(unpack(data))).rejects.toThrow(message)
    await expect(walk(unpack(data, 1000))).rejects.toThrow(message)
  })
})
