/**
 * The road to Kafka: one lane per partition, with one batch under way in each (acks=all, idempotent).
 *
 * - One batch at a time: what comes meanwhile is the next batch, so batches grow with the load. The client would let
 *   several requests of a partition overtake each other after an error, which breaks their sequence numbers.
 * - One partition per request: the client sends a whole request to the leader of its first record, and after a leader
 *   change it would offer the others to a wrong one for ever.
 * - Retried for ever under the same producer id and sequence number, through restarts and leader changes: the broker
 *   recognises a batch that it has already. An answer is therefore the truth, and a failure is either a refusal that
 *   no retry heals or the end of the session: then nobody knows, and the batch is not sent again. (Only a broker that
 *   has lost what it knew of the session makes the client begin another and send the batch under that.)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ProduceAcks, Producer } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { UserError } from '#pipeline/user-error.ts'
import { murmur2 } from './murmur2.ts'

export type Outgoing = {
  key: Buffer | null
  value: Buffer | null
  /** Milliseconds since the epoch. */
  timestamp: number
  headers?: Map<Buffer, Buffer>
}

/** Told of each batch, in this order; `records[i]` of an acknowledged one stands at `offset + i`. */
export interface Ledger<R extends Outgoing> {
  onSending(records: R[]): void
  onAcknowledged(records: R[], partition: number, offset: number): void
  onFailed(records: R[], partition: number, error: Error): void
}

/** `idle`: resolves when nothing is under way. */
type Lane<R> = { partition: number; queue: R[]; busySince: number | null; idle: Promise<void> }

/** Half of what brokers take by default: a batch must not be refused for the company that a record keeps. */
const MAX_BATCH_BYTES = 512 * 1024
/** Lengths, timestamps and offsets of one record, at most. */
const RECORD_OVERHEAD = 64
/** Short enough that a restarted broker is found soon, long enough not to hammer one that starts. */
const RETRY_MS = 250
const METADATA_POLL_MS = 500

export class Lanes<R extends Outgoing> {
  readonly #topic: string
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>
  readonly #ledger: Ledger<R>
  readonly #lanes: Lane<R>[]
  #nextKeyless = 0
  #queuedBytes = 0

  private constructor(
    topic: string,
    producer: Producer<Buffer, Buffer, Buffer, Buffer>,
    partitions: number,
    ledger: Ledger<R>,
  ) {
    this.#topic = topic
    this.#producer = producer
    this.#ledger = ledger
    const lane = { busySince: null, idle: Promise.resolve() }
    this.#lanes = Array.from({ length: partitions }, (_, partition) => ({ ...lane, partition, queue: [] }))
  }

  /** Rejects when the topic is not there, or no broker answers, within `withinMs`. */
  static async open<R extends Outgoing>(
    connection: KafkaConnection,
    topic: string,
    ledger: Ledger<R>,
    withinMs: number,
  ): Promise<Lanes<R>> {
    const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
      ...connection,
      retries: true,
      retryDelay: RETRY_MS,
    })
    for (const deadline = Date.now() + withinMs; ; await sleep(METADATA_POLL_MS)) {
      try {
        return new Lanes(topic, producer, await partitionCount(producer, topic), ledger)
      } catch (error) {
        if (Date.now() < deadline) continue
        await producer.close()
        const brokers = connection.bootstrapBrokers.join(', ')
        throw new UserError(`cannot send to topic ${topic} at ${brokers}: ${reasonOf(error)}`, { cause: error })
      }
    }
  }

  /** Bytes that wait or are under way. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** For how long the oldest batch under way has had no answer, ms. */
  get stalledMs(): number {
    const since = this.#lanes.map(lane => lane.busySince).filter(time => time !== null)
    return since.length === 0 ? 0 : performance.now() - Math.min(...since)
  }

  /** Queues it; `flush` sends. */
  add(record: R): void {
    this.#lanes[this.#partitionOf(record.key)]!.queue.push(record)
    this.#queuedBytes += sizeOf(record)
  }

  flush(): void {
    for (const lane of this.#lanes) if (lane.busySince === null && lane.queue.length > 0) lane.idle = this.#run(lane)
  }

  /** Resolves when nothing waits any more, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    this.flush()
    for (const deadline = performance.now() + withinMs; this.#queuedBytes > 0 && performance.now() < deadline; )
      await sleep(10)
  }

  /** Rejects within `withinMs` when no broker answers for the topic. */
  async ping(withinMs: number): Promise<void> {
    const tooLate = sleep(withinMs, undefined, { ref: false }).then(() => {
      throw new Error(`no broker answered within ${withinMs / 1000} s`)
    })
    await Promise.race([partitionCount(this.#producer, this.#topic), tooLate])
  }

  /** What is still under way fails, and the ledger has been told when this resolves. */
  async close(): Promise<void> {
    for (const lane of this.#lanes) this.#forget(lane.queue.splice(0))
    await this.#producer.close()
    // A try that was just under way learns only afterwards that the client is closed.
    await Promise.all(this.#lanes.map(({ idle }) => idle))
  }

  /** As Kafka's own producers choose: by the key's murmur2, or in turn. */
  #partitionOf(key: Buffer | null): number {
    const hash = key === null ? this.#nextKeyless++ : murmur2(key) & 0x7fffffff
    return hash % this.#lanes.length
  }

  /** Ends with the process where the ledger throws: what cannot be journaled must not be sent. */
  async #run(lane: Lane<R>): Promise<void> {
    while (lane.queue.length > 0) {
      const records = takeBatch(lane.queue)
      lane.busySince = performance.now()
      this.#ledger.onSending(records)
      await this.#send(records, lane.partition).then(
        offset => this.#ledger.onAcknowledged(records, lane.partition, offset),
        error => this.#ledger.onFailed(records, lane.partition, error),
      )
      this.#forget(records)
    }
    lane.busySince = null
  }

  /** Answers the offset of the first record. */
  async #send(records: R[], partition: number): Promise<number> {
    const messages = records.map(({ key, value, timestamp, headers }) => ({
      topic: this.#topic,
      partition,
      key: key as Buffer,
      value: value as Buffer,
      timestamp: BigInt(timestamp),
      ...(headers && { headers }),
    }))
    const { offsets } = await this.#producer.send({ messages, idempotent: true, acks: ProduceAcks.ALL })
    return Number(offsets![0]!.offset)
  }

  #forget(records: R[]): void {
    for (const record of records) this.#queuedBytes -= sizeOf(record)
  }
}

/** The innermost errors say what happened. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reasonOf))].join('; ')
  return error instanceof Error ? error.message : String(error)
}

async function partitionCount(producer: Producer<Buffer, Buffer, Buffer, Buffer>, topic: string): Promise<number> {
  const metadata = await producer.metadata({ topics: [topic], forceUpdate: true, retries: 0 })
  return metadata.topics.get(topic)!.partitionsCount
}

function takeBatch<R extends Outgoing>(queue: R[]): R[] {
  let bytes = 0
  const end = queue.findIndex(record => (bytes += sizeOf(record)) > MAX_BATCH_BYTES)
  return queue.splice(0, end < 0 ? queue.length : Math.max(1, end))
}

function sizeOf({ key, value }: Outgoing): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD
}
