/** The topic on the broker: creates it with the settings of the contract, and reads its end offsets. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { MAX_MESSAGE_BYTES } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import { kafkaError } from '#processor/adapters/kafka/connection.ts'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { Retryable } from '#processor/errors.ts'

const TIMEOUT_MS = 30_000
const PAUSE_MS = 250

export class Topic {
  readonly #connection: KafkaConnection
  readonly #spec: Spec
  readonly #source: KafkaSource
  #partitions: number[] = []

  constructor(connection: KafkaConnection, spec: Spec) {
    this.#connection = connection
    this.#spec = spec
    this.#source = new KafkaSource(connection, spec.source.topic)
  }

  /**
   * Creates the topic unless it exists. `replicas` −1 means the broker's default. Throws Fatal, or an Error when no
   * broker responds.
   */
  async ensure(replicas: number, log: (line: string) => void): Promise<void> {
    const { topic, partitions } = this.#spec.source
    const admin = new Admin(this.#connection)
    try {
      if (!(await admin.listTopics()).includes(topic)) await this.#create(admin, replicas)
    } catch (error) {
      throw kafkaError(error, `creating topic ${topic}`)
    } finally {
      await admin.close()
    }
    const found = await this.#describe()
    this.#partitions = [...Array(found).keys()]
    if (found !== partitions)
      log(`topic ${topic} has ${found} partitions, but spec.source.partitions is ${partitions}: using ${found}`)
  }

  /** Its actual number of partitions, which may differ from the file's. */
  get partitions(): number {
    return this.#partitions.length
  }

  /** Resolves with the end offset of each partition, including open transactions. Rejects while no broker responds. */
  ends(): Promise<Map<number, number>> {
    return this.#source.offsets(this.#partitions, 'latest')
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  async #create(admin: Admin, replicas: number): Promise<void> {
    const { source, watermark } = this.#spec
    const configs = Object.entries({
      // Timestamps are those of producers. The broker rejects those too far in the future (docs/semantics.md, section 5).
      'message.timestamp.type': 'CreateTime',
      'message.timestamp.after.max.ms': watermark.maxFutureSkew,
      'retention.ms': -1,
      'max.message.bytes': MAX_MESSAGE_BYTES,
    }).map(([name, value]) => ({ name, value: String(value) }))
    await admin.createTopics({ topics: [source.topic], partitions: source.partitions, replicas, configs })
  }

  /** Resolves with its number of partitions. Retries, because a new topic may not be known yet. */
  async #describe(): Promise<number> {
    for (const deadline = Date.now() + TIMEOUT_MS; ; await sleep(PAUSE_MS)) {
      try {
        return (await this.#source.describe()).partitions
      } catch (error) {
        if (!(error instanceof Retryable) || Date.now() > deadline) throw error
      }
    }
  }
}
