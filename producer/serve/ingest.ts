/** Sends requests to Kafka: bounds the bytes in flight, batches concurrent requests, waits for acknowledgements. */
import { findErrorBy } from '@platformatic/kafka'
import { withoutAddresses } from '#common/addresses.ts'
import { innermostText } from '#common/error-causes.ts'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { kafkaText } from '#common/kafka-text.ts'
import { KAFKA_OPEN_MS } from '#pipeline/limits.ts'
import { type Journal, journalled } from '../journal.ts'
import { Lanes, type Ledger, type Outgoing } from '../lanes.ts'
import type { SendSpan, Tracing } from '../tracing.ts'
import { type Budget, SALE_BYTES } from './budget.ts'
import { Refusal, tryLater } from './refusal.ts'

export type Position = { partition: number; offset: number }

type IngestRecord = Outgoing & { stored(position: Position): void; lost(error: Error): void }

export type IngestOptions = {
  connection: KafkaConnection
  topic: string
  /** Counts the sales that wait for Kafka. */
  budget: Budget
  /** How long a request waits for Kafka, ms. */
  answerWithinMs: number
  tracing: Tracing | null
  /** Journal of sent records, or null. */
  journal: Journal | null
}

/** Requests that arrive within this time share a batch, ms: half of a round trip to a broker. */
const LINGER_MS = 2
const UNKNOWN_OUTCOME =
  'it is unknown whether Kafka stored the sales; send them again with the same ids. With spec.deduplication, each is counted once'
const TRACEPARENT = Buffer.from('traceparent')

const ledger: Ledger<IngestRecord> = {
  onSending() {},
  onAcknowledged(records, partition, offset) {
    records.forEach((record, i) => {
      record.stored({ partition, offset: offset + i })
    })
  },
  onFailed(records, _partition, error) {
    for (const record of records) record.lost(error)
  },
}

export class Ingest {
  readonly #options: IngestOptions
  readonly #lanes: Lanes<IngestRecord>
  #lingering: NodeJS.Timeout | null = null

  private constructor(options: IngestOptions, lanes: Lanes<IngestRecord>) {
    this.#options = options
    this.#lanes = lanes
  }

  /** Rejects with a UserError if Kafka or the topic cannot be reached within 30 s. */
  static async open(options: IngestOptions): Promise<Ingest> {
    const { connection, topic, journal } = options
    const journalling = journal ? journalled(ledger, journal) : ledger
    return new Ingest(options, await Lanes.open(connection, topic, journalling, KAFKA_OPEN_MS))
  }

  get inFlightBytes(): number {
    return this.#lanes.queuedBytes
  }

  /**
   * Resolves when every event is acknowledged. Rejects with Refusal: 413, 429, or 503 if Kafka does not respond in time.
   * After a 503, some of the events may be in the log or arrive there later.
   */
  async send(events: { key: string | null; bytes: Buffer }[], traceparent?: string): Promise<Position[]> {
    if (this.#isStalled())
      throw tryLater(503, 'Kafka does not respond; nothing was sent. Send the request again later', 5)
    this.#options.budget.take(events.reduce((sum, { bytes }) => sum + costOf(bytes), 0))
    return this.#withTimeout(Promise.all(events.map(({ key, bytes }) => this.#sendOne(key, bytes, traceparent))))
  }

  /** Resolves with the reason why Kafka does not accept records now, or null. */
  async unready(withinMs: number): Promise<string | null> {
    if (this.#isStalled()) {
      const seconds = Math.round(this.#lanes.stalledMs / 1000)
      return `Kafka has not acknowledged records of topic ${this.#options.topic} for ${seconds} s; check the brokers`
    }
    return this.#lanes.ping(withinMs).then(() => null, kafkaText)
  }

  /** Waits for records in flight, for at most `withinMs`. */
  async close(withinMs: number): Promise<void> {
    await this.#lanes.drain(withinMs)
    await this.#lanes.close()
  }

  /** Kafka counts as stalled after half of a request's timeout: a new request would most likely time out too. */
  #isStalled(): boolean {
    return this.#lanes.stalledMs > this.#options.answerWithinMs / 2
  }

  #sendOne(key: string | null, value: Buffer, traceparent: string | undefined): Promise<Position> {
    const { promise, resolve, reject } = Promise.withResolvers<Position>()
    const span = traceparent === undefined ? (this.#options.tracing?.send(key) ?? null) : null
    const headers =
      span?.headers ?? (traceparent === undefined ? null : new Map([[TRACEPARENT, Buffer.from(traceparent)]]))
    this.#lanes.add({
      key: key === null ? null : Buffer.from(key),
      value,
      timestamp: Date.now(),
      ...(headers && { headers }),
      ...outcome(resolve, reject, span, () => this.#options.budget.release(costOf(value))),
    })
    this.#lingering ??= setTimeout(() => {
      this.#lingering = null
      this.#lanes.flush()
    }, LINGER_MS)
    return promise
  }

  async #withTimeout<T>(result: Promise<T>): Promise<T> {
    const { answerWithinMs } = this.#options
    const { promise: timeout, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      reject(tryLater(503, `Kafka did not respond within ${answerWithinMs / 1000} s; ${UNKNOWN_OUTCOME}`, 5))
    }, answerWithinMs)
    return Promise.race([result, timeout]).finally(() => clearTimeout(timer))
  }
}

/** Memory of a sale until Kafka responds, also after its request has timed out. */
function costOf(bytes: Buffer): number {
  return SALE_BYTES + bytes.length
}

function outcome(
  resolve: (position: Position) => void,
  reject: (error: Error) => void,
  span: SendSpan | null,
  release: () => void,
) {
  return {
    stored(position: Position) {
      release()
      span?.acknowledged(position.partition, position.offset)
      resolve(position)
    },
    lost(error: Error) {
      release()
      span?.failed(error)
      reject(refusalOf(error))
    },
  }
}

function refusalOf(error: Error): Refusal {
  const tooLarge = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].some(id => findErrorBy(error, 'apiId', id))
  if (tooLarge)
    return new Refusal(
      413,
      'an event of this request is larger than max.message.bytes of the topic; send a smaller event. Other events of the request may be stored; send them again with the same ids',
    )
  return tryLater(503, `Kafka: ${withoutAddresses(innermostText(error))}; ${UNKNOWN_OUTCOME}`, 5)
}
