import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unpack } from '#processor/adapters/kafka/unpack.ts'
import { type AbortedTransaction, BatchCursor, offsetAfter, type Piece } from '#processor/core/batches.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch, GZIP, type TestBatch, type TestRecord } from '#test/support/record-batch.ts'

type Seen = { offset: number; timestamp: number; key: Buffer | null; value: Buffer | null; headers: [string, string][] }

const whole = (data: Buffer): Piece[] => [{ data, cut: null }]

function walk(pieces: Piece[], from = 0, aborted: AbortedTransaction[] = []) {
  const cursor = new BatchCursor()
  const seen: Seen[] = []
  cursor.begin(aborted, from)
  for (const piece of pieces) {
    cursor.feed(piece)
    while (cursor.next()) seen.push(current(cursor))
  }
  return { seen, next: cursor.nextOffset }
}

function current(cursor: BatchCursor): Seen {
  const part = (start: number, end: number) => (end < 0 ? null : Buffer.from(cursor.bytes.subarray(start, end)))
  return {
    offset: cursor.offset,
    timestamp: cursor.timestamp,
    key: part(cursor.keyStart, cursor.keyEnd),
    value: part(cursor.valueStart, cursor.valueEnd),
    headers: cursor.headers(),
  }
}

const blob = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
)
const record = fc.record({
  gap: fc.integer({ min: 1, max: 3 }),
  timestamp: fc.integer({ min: -1, max: 253_402_300_799_999 }),
  key: blob,
  value: blob,
  headers: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 2 }),
})
const shape = fc.record({
  records: fc.array(record, { minLength: 1, maxLength: 20 }),
  gzip: fc.boolean(),
  tail: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom('plain', 'transactional', 'commit', 'abort'),
  producer: fc.integer({ min: 1, max: 3 }),
})

const shapes = fc.array(shape, { minLength: 1, maxLength: 12, size: 'max' })

/** Writes batches one after the other like a broker, and returns the records that a read-committed reader must see. */
function layLog(shapes: (typeof shape extends fc.Arbitrary<infer T> ? T : never)[]) {
  const batches: TestBatch[] = []
  const open = new Map<number, { first: number; records: Seen[] }>()
  const aborted: AbortedTransaction[] = []
  const visible: Seen[] = []
  let next = 0
  for (const { records, gzip, tail, kind, producer } of shapes) {
    const transaction = kind === 'plain' ? undefined : { producerId: BigInt(producer) }
    if (kind === 'commit' || kind === 'abort') {
      batches.push({ baseOffset: next, records: [], transaction: { producerId: BigInt(producer), control: kind } })
      const ended = open.get(producer)
      if (ended && kind === 'commit') visible.push(...ended.records)
      if (ended && kind === 'abort') aborted.push({ producerId: BigInt(producer), firstOffset: ended.first })
      open.delete(producer)
      next++
      continue
    }
    let delta = -1
    const laid: TestRecord[] = records.map(({ gap, ...rest }) => ({ ...rest, delta: (delta += gap) }))
    batches.push({
      baseOffset: next,
      records: laid,
      lastDelta: delta + tail,
      ...(transaction ? { transaction } : {}),
      ...(gzip ? { compression: GZIP } : {}),
    })
    const seen = laid.map(r => ({
      offset: next + r.delta,
      timestamp: r.timestamp,
      key: r.key,
      value: r.value,
      headers: r.headers ?? [],
    }))
    if (!transaction) visible.push(...seen)
    else {
      const transactional = open.get(producer) ?? { first: next, records: [] }
      transactional.records.push(...seen)
      open.set(producer, transactional)
    }
    next += delta + tail + 1
  }
  // A broker answers a read-committed fetch only up to the last stable offset, so open transactions are closed.
  for (const [producer, { records }] of open) {
    batches.push({ baseOffset: next++, records: [], transaction: { producerId: BigInt(producer), control: 'commit' } })
    visible.push(...records)
  }
  visible.sort((a, b) => a.offset - b.offset)
  return { data: Buffer.concat(batches.map(encodeBatch)), aborted, visible, end: next }
}

describe('record batches', () => {
  it('yields exactly the records that a read-committed reader must see, from any offset and in pieces of any size', async () => {
    let hidden = 0
    let split = 0
    await check(
      fc.asyncProperty(shapes, fc.nat(60), fc.integer({ min: 1, max: 500 }), async (shapes, from, pieceBytes) => {
        const log = layLog(shapes)
        const start = Math.min(from, log.end)
        const pieces: Piece[] = []
        for await (const piece of unpack(log.data, pieceBytes)) pieces.push(piece)
        const { seen, next } = walk(pieces, start, log.aborted)
        expect(seen).toEqual(log.visible.filter(r => r.offset >= start))
        expect(next).toBe(log.end)
        expect(offsetAfter(log.data, start)).toBe(log.end)
        hidden += log.aborted.length
        split += pieces.length > shapes.length ? 1 : 0
      }),
      { numRuns: 500 },
    )
    expect(hidden).toBeGreaterThan(100)
    expect(split).toBeGreaterThan(100)
  })

  it('reads whole batches only, because a broker may cut off the last one', () => {
    const one = encodeBatch({
      baseOffset: 0,
      records: [{ delta: 0, timestamp: 1, key: null, value: Buffer.from('a') }],
    })
    const two = encodeBatch({
      baseOffset: 1,
      records: [{ delta: 0, timestamp: 2, key: null, value: Buffer.from('b') }],
    })
    const cut = Buffer.concat([one, two.subarray(0, two.length - 1)])
    expect(walk(whole(cut)).seen).toHaveLength(1)
    expect(offsetAfter(cut, 0)).toBe(1)
    expect(offsetAfter(one.subarray(0, 40), 7)).toBe(7)
  })

  it('uses the batch’s timestamp when the topic has LogAppendTime', () => {
    const data = encodeBatch({
      baseOffset: 5,
      appendTime: 777,
      records: [{ delta: 0, timestamp: 1, key: null, value: null }],
    })
    expect(walk(whole(data)).seen[0]).toMatchObject({ offset: 5, timestamp: 777, value: null })
  })

  it.each([
    ['a delta of −2^62', 1_764_500_000_000n, -(2n ** 62n)],
    ['the smallest delta', 0n, -(2n ** 63n)],
    ['the greatest delta', 0n, 2n ** 63n - 1n],
    ['a sum above 64 bits, which wraps around', 2n ** 63n - 1n, 2n ** 63n - 1n],
    ['a sum below 64 bits, which wraps around', -(2n ** 63n), -5n],
    ['a delta that wraps back to a usual time', 2n ** 63n - 1n, 1_764_500_000_001n - 2n ** 63n],
    ['a batch timestamp that doubles round', 2n ** 53n + 1n, -(2n ** 53n)],
  ])('reads the timestamp that Kafka computes in 64 bits: %s', (_what, baseTimestamp, timestampDelta) => {
    const records = [{ delta: 0, timestamp: 0, timestampDelta, key: null, value: null }]
    const data = encodeBatch({ baseOffset: 0, baseTimestamp, records })
    expect(walk(whole(data)).seen[0]!.timestamp).toBe(Number(BigInt.asIntN(64, baseTimestamp + timestampDelta)))
  })

  it('reads the timestamp that Kafka computes in 64 bits for any batch timestamp and delta', () => {
    const int64 = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.nat(63).chain(bits => fc.bigInt({ min: -(2n ** BigInt(bits)), max: 2n ** BigInt(bits) - 1n })),
    )
    check(
      fc.property(int64, int64, (baseTimestamp, timestampDelta) => {
        const records = [{ delta: 0, timestamp: 0, timestampDelta, key: null, value: null }]
        const data = encodeBatch({ baseOffset: 0, baseTimestamp, records })
        const { timestamp } = walk(whole(data)).seen[0]!
        expect(timestamp).toBe(Number(BigInt.asIntN(64, baseTimestamp + timestampDelta)))
      }),
      { numRuns: 2000 },
    )
  })

  it('refuses a record whose fields do not fit into its stated length', () => {
    const records = [1, 2].map(delta => ({ delta, timestamp: 1, key: null, value: Buffer.from('ab') }))
    const data = encodeBatch({ baseOffset: 0, records })
    data[61 + 5] = 0x20 // the value's length: 16 bytes instead of 2
    expect(() => walk(whole(data))).toThrow(/the record at offset 1 is corrupt: its fields do not fit/)
  })

  it('refuses a record that is longer than the batch', () => {
    const data = encodeBatch({
      baseOffset: 0,
      records: [{ delta: 0, timestamp: 1, key: null, value: Buffer.alloc(20) }],
    })
    data[61] = 0x7e // claims 63 bytes
    expect(() => walk(whole(data))).toThrow(/longer than the batch/)
  })
})
