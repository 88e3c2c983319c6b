/** Fills a topic with a backlog of sales: one hour of event time, at most 5 s out of order, 1 % sent twice. */
import { Admin, Producer, stringSerializers } from '@platformatic/kafka'
import { Random } from '#test/support/random.ts'

const START = Date.UTC(2026, 0, 15, 10)
const HOUR_MS = 3_600_000
const STORES = 1000
const BATCH = 4000

/**
 * Sends `count` events of at least 180 bytes; resolves with their mean size in bytes. The key is the id, so that both
 * copies of a sale go to the same partition.
 */
export async function fillTopic(
  bootstrap: string,
  topic: string,
  partitions: number,
  count: number,
  progress: (sent: number) => void,
): Promise<number> {
  const connection = { clientId: 'backlog', bootstrapBrokers: [bootstrap] }
  const admin = new Admin(connection)
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  await admin.close()
  const producer = new Producer({ ...connection, serializers: stringSerializers, idempotent: true, acks: -1 })
  const random = new Random(42)
  let bytes = 0
  let previous = { key: '', value: '' }
  for (let sent = 0; sent < count; sent += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, count - sent) }, (_, i) => {
      if (!random.chance(0.01) || previous.key === '') previous = drawSale(random, sent + i, count)
      bytes += previous.value.length
      return { topic, ...previous }
    })
    await producer.send({ messages })
    progress(sent + messages.length)
  }
  await producer.close()
  return bytes / count
}

/** Returns sale `i` of `count`: key and value. */
export function drawSale(random: Random, i: number, count: number): { key: string; value: string } {
  const hex = (digits: number) =>
    random
      .int(0, 16 ** digits - 1)
      .toString(16)
      .padStart(digits, '0')
  const key = `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(6)}${hex(6)}`
  const time = new Date(START + Math.floor((i / count) * HOUR_MS) - random.int(0, 5000)).toISOString()
  const cents = random.int(1, 50_000)
  const amount = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
  const value = `{"transaction_id":"${key}","timestamp":"${time}","category":"${random.pick(['books', 'toys', 'sports'])}","payment_method":"credit_card","store_id":"store-${random.int(0, STORES - 1)}","amount":"${amount}","quantity":${random.int(1, 5)}}`
  return { key, value }
}
