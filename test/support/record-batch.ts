/** Encodes Kafka record batches (v2) by the protocol's specification, without code of the walker that it tests. */
import { gzipSync } from 'node:zlib'
import { crc32c } from '@platformatic/kafka'

export type TestRecord = {
  /** Relative to the batch's base offset. */
  delta: number
  timestamp: number
  /** Written instead of the difference between `timestamp` and the batch's timestamp, as a hostile producer may do. */
  timestampDelta?: bigint
  key: Buffer | null
  value: Buffer | null
  headers?: [string, string][]
}

export type TestBatch = {
  baseOffset: number
  /** Default: the timestamp of the first record. */
  baseTimestamp?: bigint
  records: TestRecord[]
  /** Last offset relative to the base offset, when compaction or the producer left a gap after the last record. */
  lastDelta?: number
  compression?: { codec: number; compress: (body: Buffer) => Buffer }
  /** LogAppendTime of the whole batch, ms. */
  appendTime?: number
  transaction?: { producerId: bigint; control?: 'commit' | 'abort' }
}

export const GZIP = { codec: 1, compress: gzipSync }

export function encodeBatch(batch: TestBatch): Buffer {
  const { transaction } = batch
  const records = transaction?.control ? [controlRecord(transaction.control)] : batch.records
  const base = records[0]?.timestamp ?? 0
  const body = Buffer.concat(records.map(record => encodeRecord(record, base)))
  const last = records.at(-1)?.delta ?? 0
  const latest = Math.max(base, ...records.map(r => r.timestamp))
  const frame = {
    baseTimestamp: BigInt(base),
    lastDelta: last,
    maxTimestamp: latest,
    ...batch,
    records: records.length,
  }
  return encodeFrame(frame, batch.compression?.compress(body) ?? body)
}

type Frame = Required<Pick<TestBatch, 'baseOffset' | 'baseTimestamp' | 'lastDelta'>> &
  Pick<TestBatch, 'appendTime' | 'transaction'> & {
    maxTimestamp: number
    records: number
    compression?: { codec: number }
  }

/** `body`: the encoded records, already compressed. */
export function encodeFrame(frame: Frame, body: Buffer): Buffer {
  const { transaction, appendTime } = frame
  let attributes = frame.compression?.codec ?? 0
  if (appendTime !== undefined) attributes |= 0x08
  if (transaction) attributes |= 0x10
  if (transaction?.control) attributes |= 0x20
  const tail = Buffer.alloc(40)
  tail.writeInt16BE(attributes, 0)
  tail.writeInt32BE(frame.lastDelta, 2)
  tail.writeBigInt64BE(frame.baseTimestamp, 6)
  tail.writeBigInt64BE(BigInt(appendTime ?? frame.maxTimestamp), 14)
  tail.writeBigInt64BE(transaction?.producerId ?? -1n, 22)
  tail.writeInt16BE(-1, 30)
  tail.writeInt32BE(-1, 32)
  tail.writeInt32BE(frame.records, 36)
  const checked = Buffer.concat([tail, body])
  const head = Buffer.alloc(21)
  head.writeBigInt64BE(BigInt(frame.baseOffset), 0)
  head.writeInt32BE(checked.length + 9, 8)
  head.writeInt32BE(3, 12) // leader epoch
  head.writeInt8(2, 16)
  head.writeUInt32BE(crc32c(checked), 17)
  return Buffer.concat([head, checked])
}

function controlRecord(kind: 'commit' | 'abort'): TestRecord {
  const key = Buffer.alloc(4)
  key.writeInt16BE(kind === 'abort' ? 0 : 1, 2)
  return { delta: 0, timestamp: 0, key, value: Buffer.alloc(6) }
}

export function encodeRecord(record: TestRecord, baseTimestamp: number): Buffer {
  const body = Buffer.concat([
    Buffer.of(0),
    varint(record.timestampDelta ?? BigInt(record.timestamp - baseTimestamp)),
    varint(BigInt(record.delta)),
    bytes(record.key),
    bytes(record.value),
    varint(BigInt(record.headers?.length ?? 0)),
    ...(record.headers ?? []).flatMap(([name, value]) => [bytes(Buffer.from(name)), bytes(Buffer.from(value))]),
  ])
  return Buffer.concat([varint(BigInt(body.length)), body])
}

function bytes(value: Buffer | null): Buffer {
  return value === null ? varint(-1n) : Buffer.concat([varint(BigInt(value.length)), value])
}

/** Zigzag, base 128, least significant group first. */
export function varint(value: bigint): Buffer {
  let rest = value >= 0n ? value * 2n : -value * 2n - 1n
  const out: number[] = []
  while (rest > 127n) {
    out.push(Number(rest % 128n) + 128)
    rest /= 128n
  }
  out.push(Number(rest))
  return Buffer.from(out)
}
