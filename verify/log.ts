/** Reads a whole topic with kafkajs, which the engine does not use. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kafka as Client, Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs'
import type { KafkaAccess } from './credentials.ts'
import { Kafka, logLevel } from './kafkajs.ts'
import type { LogRecord } from './recompute.ts'
import type { Unreadable } from './record-batches.ts'

/**
 * Offsets of a partition from `low` up to, not including, `end`, the last stable offset. Records after the start of an
 * open transaction are undecided, so they are not part of the log yet.
 */
export interface PartitionRange {
  partition: number
  low: number
  end: number
}

export interface ReadRecord extends LogRecord {
  /** When the record was made, in milliseconds since the epoch; null when unknown (see section 9). */
  madeAt: number | null
}

export interface TopicLog {
  ranges: PartitionRange[]
  /**
   * Passes every record before the ends to `onRecord`, per partition in offset order. Rejects with an Error that names
   * partition and offset when a record cannot be read: a verdict on a part of the topic would be wrong.
   */
  read(onRecord: (record: ReadRecord) => void, stalledAfterMs?: number): Promise<void>
}

/** A live broker responds well within this time, and kafkajs decompresses a batch of gigabytes. */
const STALLED_AFTER_MS = 60_000

/** 15 s in total: a leader election takes one or two seconds. */
const LEADER_ATTEMPTS = 30
const LEADER_PAUSE_MS = 500

/**
 * Opens a topic up to its current end, or up to `until` (by partition) where that is lower. Reading skips the records of
 * aborted transactions.
 */
export async function openTopic(
  bootstrap: string,
  topic: string,
  until: Map<number, number> | null = null,
  access: KafkaAccess = {},
): Promise<TopicLog> {
  const brokers = bootstrap.split(',')
  const kafka = new Kafka({ clientId: 'verify', brokers, logLevel: logLevel.NOTHING, ...access })
  const ranges = (await topicOffsets(kafka, topic))
    .map(({ partition, low, high }) => {
      const end = Math.min(Number(high), until === null ? Infinity : (until.get(partition) ?? 0))
      return { partition, low: Number(low), end }
    })
    .sort((a, b) => a.partition - b.partition)
  return {
    ranges,
    read: (onRecord, stalledAfterMs = STALLED_AFTER_MS) => readTopic(kafka, topic, ranges, onRecord, stalledAfterMs),
  }
}

/** kafkajs does not retry when a partition's leader has just changed, for example after a broker restart. */
async function topicOffsets(kafka: Client, topic: string) {
  for (let attempt = 1; ; attempt++) {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await admin.fetchTopicOffsets(topic)
    } catch (error) {
      if (attempt === LEADER_ATTEMPTS || !isLeaderChange(error)) throw error
      await sleep(LEADER_PAUSE_MS)
    } finally {
      await admin.disconnect()
    }
  }
}

function isLeaderChange(error: unknown): boolean {
  const { type } = error as { type?: string }
  return type === 'NOT_LEADER_FOR_PARTITION' || type === 'LEADER_NOT_AVAILABLE'
}

async function readTopic(
  kafka: Client,
  topic: string,
  ranges: PartitionRange[],
  onRecord: (record: ReadRecord) => void,
  stalledAfterMs: number,
): Promise<void> {
  const positions = new Map(ranges.map(({ partition, low }) => [partition, low]))
  const unread = () => ranges.some(({ partition, end }) => positions.get(partition)! < end)
  if (!unread()) return
  const consumer = kafka.consumer({ groupId: `verify-${randomUUID()}`, sessionTimeout: 60_000, maxWaitTimeInMs: 200 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consume(consumer, ranges, positions, unread, onRecord, stalledAfterMs)
  } finally {
    await consumer.disconnect()
  }
}

/** Resolves when every partition is read to its end. Rejects when no batch arrived for `stalledAfterMs`. */
function consume(
  consumer: Consumer,
  ranges: PartitionRange[],
  positions: Map<number, number>,
  unread: () => boolean,
  onRecord: (record: ReadRecord) => void,
  stalledAfterMs: number,
): Promise<void> {
  const ends = new Map(ranges.map(({ partition, end }) => [partition, end]))
  return new Promise((resolve, reject) => {
    let lastError: Error | null = null
    const stall = () => reject(new Error(stalledText(ranges, positions, stalledAfterMs, lastError)))
    const stalled = setTimeout(stall, stalledAfterMs)
    // A batch of only control records or aborted records triggers this event, but never eachBatch.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
      positions.set(partition, Math.max(positions.get(partition)!, Number(lastOffset) + 1))
      stalled.refresh()
      if (!unread()) {
        clearTimeout(stalled)
        resolve()
      }
    })
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      lastError = error
      if (!restart) reject(error)
    })
    const deliver = (partition: number, message: KafkaMessage) => {
      failIfUnreadable(message, partition, ends.get(partition)!)
      const offset = Number(message.offset)
      // A rejoining consumer starts over, and the log may grow while it is read.
      if (offset < positions.get(partition)! || offset >= ends.get(partition)!) return
      positions.set(partition, offset + 1)
      onRecord(toRecord(partition, offset, message))
    }
    const eachBatch = async ({ batch: { partition, messages } }: EachBatchPayload) => {
      try {
        for (const message of messages) deliver(partition, message)
      } catch (error) {
        // kafkajs would retry the batch, starting after the record that failed.
        reject(error)
      }
    }
    consumer.run({ autoCommit: false, eachBatch }).catch(reject)
  })
}

function stalledText(
  ranges: PartitionRange[],
  positions: Map<number, number>,
  afterMs: number,
  cause: Error | null,
): string {
  const unread = ranges
    .filter(({ partition, end }) => positions.get(partition)! < end)
    .map(({ partition, end }) => `offsets ${positions.get(partition)} to ${end - 1} of partition ${partition}`)
  const reason = cause ? ` (last error: ${cause.message})` : ''
  return `no records arrived for ${afterMs / 1000} s${reason}; still to read: ${unread.join(', ')}. Check the brokers and verify again`
}

/** record-batches.ts adds this field. A batch at or after `end` does not matter. */
function failIfUnreadable(message: KafkaMessage & { unreadable?: Unreadable }, partition: number, end: number): void {
  if (!message.unreadable || message.unreadable.offset >= end) return
  const { offset, reason } = message.unreadable
  throw new Error(
    `partition ${partition}: the record batch at offset ${offset} cannot be read: ${reason}. Check the broker's disk, and restore the partition from a replica`,
  )
}

/** kafkajs has this in a field that its types omit. A timestamp type of 1 is LogAppendTime. */
interface WithContext {
  batchContext?: { timestampType?: number; firstOffset: string; firstTimestamp: string }
}

function toRecord(partition: number, offset: number, message: KafkaMessage): ReadRecord {
  const timestamp = Number(message.timestamp)
  const batch = (message as WithContext).batchContext
  const appended = batch?.timestampType === 1
  const sentAt = message.headers?.['sent-at']
  const madeAt = appended ? (sentAt === undefined ? null : Number(sentAt)) : timestamp
  return {
    partition,
    offset,
    timestamp,
    key: message.key,
    value: message.value,
    madeAt,
    tooLarge: isTooLarge(message, batch, appended),
  }
}

/** Section 7: a record is dead if it has more bytes in the log, not counting the field that holds this number. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024
/** More than the attributes and the two deltas take. */
const MOST_FRAMING = 16

/** Measures a record of format 2 by its specification. The brokers' LogAppendTime hides one field, which then counts 1. */
function isTooLarge(message: KafkaMessage, batch: WithContext['batchContext'], appended: boolean): boolean {
  const headers = Object.entries(message.headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map(value => textLength(name) + fieldLength(value === undefined ? null : Buffer.from(value))),
  )
  const fields = fieldLength(message.key) + fieldLength(message.value)
  const payload = headers.reduce((sum, length) => sum + length, fields + varintLength(headers.length))
  if (!batch || payload + MOST_FRAMING <= MAX_RECORD_BYTES) return false
  const delta = (of: string, from: string) => varintLength(BigInt(of) - BigInt(from))
  const created = appended ? 1 : delta(message.timestamp, batch.firstTimestamp)
  return 1 + created + delta(message.offset, batch.firstOffset) + payload > MAX_RECORD_BYTES
}

const textLength = (text: string) => fieldLength(Buffer.from(text))
const fieldLength = (bytes: Buffer | null) => (bytes?.length ?? 0) + varintLength(bytes?.length ?? -1)

/** Bytes of a zigzag varint: 7 bits in each. */
function varintLength(value: number | bigint): number {
  const zigzag = value < 0 ? -BigInt(value) * 2n - 1n : BigInt(value) * 2n
  let bytes = 1
  for (let rest = zigzag >> 7n; rest > 0n; rest >>= 7n) bytes++
  return bytes
}
