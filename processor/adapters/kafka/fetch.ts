/** Kafka's Fetch (API key 1, version 17). It leaves record batches as bytes, because the hot path walks them in place. */
import { crc32c, createAPI, fetchV17, type Reader } from '@platformatic/kafka'
import { batchLength } from '#processor/core/batches.ts'
import { Retryable } from '#processor/errors.ts'
import type { Unsupported } from '#processor/ports.ts'

export type FetchedPartition = {
  partition: number
  errorCode: number
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
  aborted: { producerId: bigint; firstOffset: number }[]
  data: Buffer | null
  /** The record before the requested offset is no longer the one that was read (KIP-595). */
  diverged: boolean
}

export type FetchAnswer = { errorCode: number; partitions: FetchedPartition[] }

type FetchTopic = {
  topicId: string
  partitions: {
    partition: number
    currentLeaderEpoch: number
    fetchOffset: bigint
    lastFetchedEpoch: number
    partitionMaxBytes: number
  }[]
}

type FetchArguments = [
  maxWaitMs: number,
  minBytes: number,
  maxBytes: number,
  isolationLevel: number,
  sessionId: number,
  sessionEpoch: number,
  topics: FetchTopic[],
  forgotten: never[],
  rackId: string,
]

export const fetchBatches = createAPI<FetchArguments, FetchAnswer>(1, 17, fetchV17.createRequest, parseAnswer)

function parseAnswer(_correlation: number, _key: number, _version: number, reader: Reader): FetchAnswer {
  reader.readInt32() // throttle time
  const errorCode = reader.readInt16()
  reader.readInt32() // session id
  const partitions: FetchedPartition[] = []
  reader.readArray(topic => {
    topic.readUUID()
    topic.readArray(r => partitions.push(parsePartition(r)), true, false)
  })
  reader.readTaggedFields()
  return { errorCode, partitions }
}

const DIVERGING_EPOCH = 0

function parsePartition(r: Reader): FetchedPartition {
  const partition = r.readInt32()
  const errorCode = r.readInt16()
  const [highWatermark, lastStableOffset, logStartOffset] = [r.readInt64(), r.readInt64(), r.readInt64()].map(
    Number,
  ) as [number, number, number]
  const aborted = r.readNullableArray(a => ({ producerId: a.readInt64(), firstOffset: Number(a.readInt64()) })) ?? []
  r.readInt32() // preferred read replica
  const length = r.readUnsignedVarInt() - 1 // compact records: length + 1, 0 for null
  const data = length > 0 ? r.buffer.slice(r.position, r.position + length) : null
  if (length > 0) r.skip(length)
  const diverged = hasTag(r, DIVERGING_EPOCH)
  return { partition, errorCode, highWatermark, lastStableOffset, logStartOffset, aborted, data, diverged }
}

/** Skips the tagged fields (a count, then tag, length and bytes of each) and returns whether `tag` was among them. */
function hasTag(r: Reader, tag: number): boolean {
  let found = false
  for (let left = r.readUnsignedVarInt(); left > 0; left--) {
    if (r.readUnsignedVarInt() === tag) found = true
    r.skip(r.readUnsignedVarInt())
  }
  return found
}

/** Throws Retryable when a batch's CRC-32C does not match its bytes; the next fetch may return intact bytes. */
export function checkBatches(data: Buffer, partition: number): void {
  for (let at = 0, length: number; (length = batchLength(data, at)) > 0; at += length)
    if (crc32c(data.subarray(at + 21, at + length)) !== data.readUInt32BE(at + 17))
      throw new Retryable(
        `partition ${partition} offset ${data.readBigInt64BE(at)}: the record batch fails its checksum; retrying. If this repeats, check the broker's disk, and restore the partition from a replica`,
      )
}

const MAGIC_AT = 16
/** The formats before it, 0 and 1, have this byte at the same place. Their batches can be shorter than our header. */
const MAGIC = 2

/** Returns the batches before the first one in another message format, and that one if it is the first of all. */
export function supportedBatches(data: Buffer): { data: Buffer | null; unsupported: Unsupported | null } {
  for (let at = 0; at + MAGIC_AT < data.length; ) {
    const format = data[at + MAGIC_AT]!
    if (format !== MAGIC && at === 0)
      return { data: null, unsupported: { format, offset: Number(data.readBigInt64BE(at)) } }
    if (format !== MAGIC) return { data: data.subarray(0, at), unsupported: null }
    const length = batchLength(data, at)
    if (length === 0) break
    at += length
  }
  return { data, unsupported: null }
}
