/**
 * Completes how kafkajs decodes record batches. The original does not check their checksums, lacks three codecs and forms of the fourth, and
 * retries endlessly what it cannot decode. Here, such a batch leads to a message with `unreadable`.
 */
import { crc32c } from './crc32c.ts'
import { decompressGzip } from './gzip.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressSnappy } from './snappy.ts'
import { decompressZstd } from './zstd.ts'

/** Why a batch cannot be read. */
export interface Unreadable {
  offset: number
  reason: string
}

type Codec = () => { decompress(bytes: Buffer): Promise<Buffer> }

const codec =
  (decompress: (bytes: Buffer) => Buffer): Codec =>
  () => ({ decompress: async bytes => decompress(bytes) })

/** By Kafka's numbers. kafkajs has only gzip, and refuses forms of it that brokers accept. */
export const CODECS: Record<number, Codec> = {
  1: codec(decompressGzip),
  2: codec(decompressSnappy),
  3: codec(decompressLz4),
  4: codec(decompressZstd),
}

/** kafkajs's reader of a response; `offset` is its position. */
interface Position {
  buffer: Buffer
  offset: number
}

type DecodeBatch = (position: Position) => Promise<{ records: object[] }>

/** Offset and length of the batch, which the length does not include. */
const PREFIX_BYTES = 12
/** Everything before the records. */
const HEADER_BYTES = 61
const CHECKSUM_AT = 17
const CHECKED_FROM = 21
/** The last offset, relative to the first. */
const LAST_DELTA_AT = 23
/** Greater than every offset, so that no filter of kafkajs drops the message. */
const LAST_OFFSET = '9223372036854775807'

/** Returns a decoder that checks the batch first, and that never throws for a batch that is complete. */
export function checkedDecoder(original: DecodeBatch): DecodeBatch {
  return async position => {
    const start = position.offset
    const end = start + PREFIX_BYTES + position.buffer.readInt32BE(start + 8)
    if (end > position.buffer.length) return original(position) // a response can end within a batch
    const batch = position.buffer.subarray(start, end)
    try {
      if (batch.length < HEADER_BYTES) throw new Error('it is shorter than its header')
      if (crc32c(batch.subarray(CHECKED_FROM)) !== batch.readUInt32BE(CHECKSUM_AT))
        throw new Error('its checksum is wrong')
      return withOffsets(batch, await original(position))
    } catch (error) {
      const offset = Number(position.buffer.readBigInt64BE(start))
      position.offset = position.buffer.length
      return { records: [unreadable({ offset, reason: (error as Error).message })] }
    }
  }
}

/**
 * A batch that has as many records as offsets holds them in order. What the records themselves say counts only where compaction
 * has removed some: a producer can write anything there.
 */
function withOffsets(batch: Buffer, decoded: { records: object[] }): { records: object[] } {
  const offsets = batch.readInt32BE(LAST_DELTA_AT) + 1
  if (decoded.records.length !== offsets) return decoded
  const first = batch.readBigInt64BE(0)
  return { ...decoded, records: decoded.records.map((record, i) => ({ ...record, offset: String(first + BigInt(i)) })) }
}

function unreadable(why: Unreadable): object {
  const batchContext = { producerId: '-1', inTransaction: false }
  return { offset: LAST_OFFSET, key: null, value: null, isControlRecord: false, batchContext, unreadable: why }
}
