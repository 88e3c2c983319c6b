/** The topic on the broker: created as the contract wants it, and asked how far it reaches. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { MAX_MESSAGE_BYTES } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import { kafkaError } from '#processor/adapters/kafka/connection.ts'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { Retryable } from '#processor/errors.ts'

const PATIENCE_MS = 30_000
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

  /** Creates it unless it exists. `replicas`: −1 leaves it to the broker. Throws Fatal, or an Error when nobody answers. */
  async ensure(replicas: number, tell: (line: string) => void): Promise<void> {
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
      tell(`topic ${topic} has ${found} partitions, the file says ${partitions}: it is kept as it is`)
  }

  /** How many it has, whatever the file says. */
  get partitions(): number {
    return this.#partitions.length
  }

  /** The end of each partition, not waiting for open transactions. Rejects while no broker answers. */
  ends(): Promise<Map<number, number>> {
    return this.#source.offsets(this.#partitions, 'latest')
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  async #create(admin: Admin, replicas: number): Promise<void> {
    const { source, watermark } = this.#spec
    const configs = Object.entries({
      // The clock of producers, within the guard of section 5 of the contract: the broker itself refuses the others.
      'message.timestamp.type': 'CreateTime',
      'message.timestamp.after.max.ms': watermark.maxFutureSkew,
      'retention.ms': -1,
      'max.message.bytes': MAX_MESSAGE_BYTES,
    }).map(([name, value]) => ({ name, value: String(value) }))
    await admin.createTopics({ topics: [source.topic], partitions: source.partitions, replicas, configs })
  }

  /** Its number of partitions. A topic that was just made may not be known yet. */
  async #describe(): Promise<number> {
    for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(PAUSE_MS)) {
      try {
        return (await this.#source.describe()).partitions
      } catch (error) {
        if (!(error instanceof Retryable) || Date.now() > deadline) throw error
      }
    }
  }
}
