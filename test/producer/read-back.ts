/** Reads a topic with kafkajs, a different client from the one that wrote it. */

import { unique } from '#test/support/services.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

export type LogRecord = {
  partition: number
  offset: number
  /** Milliseconds since the epoch. */
  timestamp: number
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, string>
}

/** Resolves with all records up to the current ends of the partitions, by partition and offset. */
export async function readBack(bootstrap: string, topic: string): Promise<LogRecord[]> {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]))
  await admin.disconnect()
  const total = [...ends.values()].reduce((sum, end) => sum + end, 0)
  const records: LogRecord[] = []
  if (total === 0) return records
  const consumer = kafka.consumer({ groupId: unique('read-back') })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>(resolve => {
    void consumer.run({
      eachMessage: async ({ partition, message }) => {
        const { key, value, offset, timestamp } = message
        if (Number(offset) >= ends.get(partition)!) return
        const headers = Object.fromEntries(
          Object.entries(message.headers ?? {}).map(([name, text]) => [name, String(text)]),
        )
        records.push({ partition, offset: Number(offset), timestamp: Number(timestamp), key, value, headers })
        if (records.length === total) resolve()
      },
    })
  })
  await consumer.disconnect()
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}
