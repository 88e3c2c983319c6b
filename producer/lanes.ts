/**
 * Sends records to Kafka: one lane per partition, with one batch in flight in each (acks=all, idempotent).
 *
 * - One batch at a time: records that arrive meanwhile form the next batch, so batches grow with the load. With several
 *   requests in flight, the client could reorder them after an error, which breaks their sequence numbers.
 * - One partition per request: the client sends a whole request to the leader of its first record. After a leader change
 *   it would send records of other partitions to a wrong broker for ever.
 * - Unlimited retries with the same producer id and sequence number, through restarts and leader changes: the broker
 *   recognises a batch that it already has, so an acknowledgement is reliable. A failure is either permanent or the end of
 *   the session. In the second case the outcome is unknown, and the batch is not sent again. (Only if the broker has lost
 *   the producer's state does the client start a new session and send the batch in it.)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ProduceAcks, Producer } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { kafkaText } from '#common/kafka-text.ts'
import { explainClosed } from '#common/tls-refusal.ts'
import { UserError } from '#pipeline/user-error.ts'
import { murmur2 } from './murmur2.ts'

export type Outgoing = {
  key: Buffer | null
  value: Buffer | null
  /** Milliseconds since the epoch. */
  timestamp: number
  headers?: Map<Buffer, Buffer>
}

/** Receives the events of each batch in this order. `records[i]` of an acknowledged batch has the offset `offset + i`. */
export interface Ledger<R extends Outgoing> {
  onSending(records: R[]): void
  onAcknowledged(records: R[], partition: number, offset: number): void
  onFailed(records: R[], partition: number, error: Error): void
}

/** `busySince`: start of the batch in flight, `performance.now()`. `idle` resolves when the lane is empty. */
type Lane<R> = { partition: number; queue: R[]; busySince: number | null; idle: Promise<void> }

/** Half of the brokers' default limit, so that only a single large record can make a batch too large. */
const MAX_BATCH_BYTES = 512 * 1024
/** Maximum size of the lengths, timestamps and offsets of one record, bytes. */
const RECORD_OVERHEAD = 64
/** Short enough to find a restarted broker soon, long enough not to overload one that is starting. */
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

  /** Rejects with a UserError if the topic is missing or no broker responds within `withinMs`. */
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
    let refusal: unknown
    for (const deadline = Date.now() + withinMs; ; await sleep(METADATA_POLL_MS)) {
      try {
        // The client itself retries for ever when a broker closes each connection.
        const partitions = await within(Math.max(deadline - Date.now(), 1), partitionCount(producer, topic))
        return new Lanes(topic, producer, partitions, ledger)
      } catch (error) {
        // The last attempt has little time: what a broker answered before says more than that it did not answer again.
        if (!(error instanceof NoAnswer) || refusal === undefined) refusal = error
        if (Date.now() < deadline) continue
        await producer.close()
        const brokers = connection.bootstrapBrokers.join(', ')
        const reason = kafkaText(await explainClosed(refusal, connection))
        const message = `cannot reach topic ${topic} at ${brokers}: ${reason}. Check that Kafka runs, that the topic exists, and tls and sasl of spec.source`
        throw new UserError(message, { cause: refusal })
      }
    }
  }

  /** Bytes that are queued or in flight. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** How long the oldest batch in flight has had no response, ms. */
  get stalledMs(): number {
    const since = this.#lanes.map(lane => lane.busySince).filter(time => time !== null)
    return since.length === 0 ? 0 : performance.now() - Math.min(...since)
  }

  /** Queues the record; `flush` sends it. */
  add(record: R): void {
    this.#lanes[this.#partitionOf(record.key)]!.queue.push(record)
    this.#queuedBytes += sizeOf(record)
  }

  flush(): void {
    for (const lane of this.#lanes) if (lane.busySince === null && lane.queue.length > 0) lane.idle = this.#run(lane)
  }

  /** Resolves when all records have a result, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    this.flush()
    for (const deadline = performance.now() + withinMs; this.#queuedBytes > 0 && performance.now() < deadline; )
      await sleep(10)
  }

  /** Rejects if no broker responds for the topic within `withinMs`. */
  async ping(withinMs: number): Promise<void> {
    await within(withinMs, partitionCount(this.#producer, this.#topic))
  }

  /** Records in flight fail. Resolves after the ledger has received all results. */
  async close(): Promise<void> {
    for (const lane of this.#lanes) this.#release(lane.queue.splice(0))
    await this.#producer.close()
    // An attempt in flight fails only after the client is closed.
    await Promise.all(this.#lanes.map(({ idle }) => idle))
  }

  /** Chooses the partition as Kafka's own producers do: by the murmur2 of the key, or round robin without a key. */
  #partitionOf(key: Buffer | null): number {
    const hash = key === null ? this.#nextKeyless++ : murmur2(key) & 0x7fffffff
    return hash % this.#lanes.length
  }

  /** If the ledger throws, the process ends: a record that cannot be journaled must not be sent. */
  async #run(lane: Lane<R>): Promise<void> {
    while (lane.queue.length > 0) {
      const records = takeBatch(lane.queue)
      lane.busySince = performance.now()
      this.#ledger.onSending(records)
      await this.#send(records, lane.partition).then(
        offset => this.#ledger.onAcknowledged(records, lane.partition, offset),
        error => this.#ledger.onFailed(records, lane.partition, error),
      )
      this.#release(records)
    }
    lane.busySince = null
  }

  /** Resolves with the offset of the first record. */
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

  #release(records: R[]): void {
    for (const record of records) this.#queuedBytes -= sizeOf(record)
  }
}

class NoAnswer extends Error {
  constructor(ms: number) {
    super(`no Kafka broker responded within ${Math.ceil(ms / 1000)} s`)
  }
}

function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const timeout = sleep(ms, undefined, { ref: false }).then(() => {
    throw new NoAnswer(ms)
  })
  return Promise.race([answer, timeout])
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
