/** Between requests and Kafka: bounds what is under way, gathers concurrent requests into batches, waits for the answer. */
import { findErrorBy } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { KAFKA_OPEN_MS } from '#pipeline/limits.ts'
import { type Journal, journalled } from '../journal.ts'
import { Lanes, type Ledger, type Outgoing, reasonOf } from '../lanes.ts'
import type { SendSpan, Tracing } from '../tracing.ts'

/** An answer other than 202. */
export class Refusal extends Error {
  readonly status: number
  /** Seconds; undefined: the same request will not do better later. */
  readonly retryAfter: number | undefined
  constructor(status: number, message: string, retryAfter?: number) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

export type Place = { partition: number; offset: number }

type IngestRecord = Outgoing & { stored(place: Place): void; lost(error: Error): void }

export type IngestOptions = {
  connection: KafkaConnection
  topic: string
  /** Bytes that may wait for Kafka, over all requests. */
  maxInFlightBytes: number
  /** How long a request waits for Kafka, ms. */
  answerWithinMs: number
  tracing: Tracing | null
  /** Where what is sent is written down; null: nowhere. */
  journal: Journal | null
}

/** Requests that arrive within this travel together: half of what a round trip to a broker costs anyway, ms. */
const LINGER_MS = 2
const MAYBE = 'it may be stored or not: send it again under the same id, and it counts once'
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

  /** Rejects when Kafka or the topic cannot be reached within 30 s. */
  static async open(options: IngestOptions): Promise<Ingest> {
    const { connection, topic, journal } = options
    const books = journal ? journalled(ledger, journal) : ledger
    return new Ingest(options, await Lanes.open(connection, topic, books, KAFKA_OPEN_MS))
  }

  get inFlightBytes(): number {
    return this.#lanes.queuedBytes
  }

  /**
   * Resolves once every event is acknowledged. Throws Refusal: 413, 429, or 503 when Kafka does not answer in time; then
   * some of the events may be, or come to be, in the log all the same.
   */
  async send(events: { key: string | null; bytes: Buffer }[], traceparent?: string): Promise<Place[]> {
    this.#admit(events.reduce((sum, { bytes }) => sum + bytes.length, 0))
    return this.#inTime(Promise.all(events.map(({ key, bytes }) => this.#sendOne(key, bytes, traceparent))))
  }

  /** Why Kafka does not take records now, or null. */
  async unready(withinMs: number): Promise<string | null> {
    if (this.#isStalled()) return 'Kafka does not acknowledge'
    return this.#lanes.ping(withinMs).then(() => null, reasonOf)
  }

  /** Waits for what is under way, for at most `withinMs`. */
  async close(withinMs: number): Promise<void> {
    await this.#lanes.drain(withinMs)
    await this.#lanes.close()
  }

  #admit(bytes: number): void {
    if (this.#isStalled()) throw new Refusal(503, 'Kafka does not answer; nothing of this was sent', 5)
    if (this.#lanes.queuedBytes + bytes <= this.#options.maxInFlightBytes) return
    throw new Refusal(429, 'more is under way than Kafka takes; nothing of this was sent', 1)
  }

  /** After half of the time that a request may wait, a new one would most likely wait in vain. */
  #isStalled(): boolean {
    return this.#lanes.stalledMs > this.#options.answerWithinMs / 2
  }

  #sendOne(key: string | null, value: Buffer, traceparent: string | undefined): Promise<Place> {
    const { promise, resolve, reject } = Promise.withResolvers<Place>()
    const span = traceparent === undefined ? (this.#options.tracing?.send(key) ?? null) : null
    const headers =
      span?.headers ?? (traceparent === undefined ? null : new Map([[TRACEPARENT, Buffer.from(traceparent)]]))
    this.#lanes.add({
      key: key === null ? null : Buffer.from(key),
      value,
      timestamp: Date.now(),
      ...(headers && { headers }),
      ...outcome(resolve, reject, span),
    })
    this.#lingering ??= setTimeout(() => {
      this.#lingering = null
      this.#lanes.flush()
    }, LINGER_MS)
    return promise
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const { answerWithinMs } = this.#options
    const { promise: tooLate, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      reject(new Refusal(503, `Kafka has not answered within ${answerWithinMs / 1000} s; ${MAYBE}`, 5))
    }, answerWithinMs)
    return Promise.race([answer, tooLate]).finally(() => clearTimeout(timer))
  }
}

function outcome(resolve: (place: Place) => void, reject: (error: Error) => void, span: SendSpan | null) {
  return {
    stored(place: Place) {
      span?.acknowledged(place.partition, place.offset)
      resolve(place)
    },
    lost(error: Error) {
      span?.failed(error)
      reject(refusalOf(error))
    },
  }
}

function refusalOf(error: Error): Refusal {
  const tooLarge = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].some(id => findErrorBy(error, 'apiId', id))
  if (tooLarge) return new Refusal(413, 'an event is larger than the topic takes')
  return new Refusal(503, `Kafka: ${reasonOf(error)}; ${MAYBE}`, 5)
}
