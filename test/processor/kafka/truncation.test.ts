import { afterAll, beforeAll, expect, it } from 'vitest'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { lastEpoch, offsetAfter } from '#processor/core/batches.ts'
import type { Fetched } from '#processor/ports.ts'
import { type KafkaCluster, ownKafkaCluster } from '#test/support/kafka-cluster.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

const TOPIC = 'truncated'
/** The topic's two replicas; the third broker keeps the controllers' quorum. */
const [FIRST, SECOND] = [1, 2]

let cluster: KafkaCluster
let kafka: InstanceType<typeof Kafka>
let source: KafkaSource

beforeAll(async () => {
  cluster = await ownKafkaCluster('truncation')
  const brokers = cluster.bootstrap.split(',')
  kafka = new Kafka({ brokers, clientId: 'kafkajs', logLevel: logLevel.NOTHING })
  source = new KafkaSource({ clientId: 'test', bootstrapBrokers: brokers, requestTimeout: 10_000 }, TOPIC)
})
afterAll(async () => {
  await source.close()
  await cluster.stop()
})

const admin = async <T>(work: (admin: ReturnType<typeof kafka.admin>) => Promise<T>): Promise<T> => {
  const client = kafka.admin()
  await client.connect()
  return work(client).finally(() => client.disconnect())
}

/** Repeats `attempt` until it returns a value. */
async function until<T>(attempt: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const value = await attempt().catch(() => null)
    if (value !== null) return value
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

const partition = () => admin(a => a.fetchTopicMetadata({ topics: [TOPIC] })).then(m => m.topics[0]!.partitions[0]!)

async function send(...values: string[]): Promise<void> {
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: TOPIC, messages: values.map(value => ({ value })) })
  await producer.disconnect()
}

const poll = (offset: number, epoch: number) =>
  until(async () => (await source.poll([{ partition: 0, offset, epoch }])).find(hasResult) ?? null)
const hasResult = ({ data, outOfRange }: Fetched) => data !== null || outOfRange

it('notices records that an unclean leader election replaced, even if the log is longer again', async () => {
  const configEntries = [
    { name: 'unclean.leader.election.enable', value: 'true' },
    { name: 'min.insync.replicas', value: '1' },
  ]
  const replicaAssignment = [{ partition: 0, replicas: [FIRST, SECOND] }]
  const topics = [{ topic: TOPIC, replicaAssignment, configEntries }]
  // kafkajs itself gives up waiting when it asks a broker that has not heard of the topic yet.
  await admin(a => a.createTopics({ topics, waitForLeaders: false }))
  await until(async () => ((await partition()).isr.length === 2 ? true : null))
  await until(() => source.describe())
  await send('a', 'b')
  await cluster.kill(SECOND)
  await until(async () => ((await partition()).isr.length === 1 ? true : null))
  await send('lost', 'lost too', 'lost as well') // they were acknowledged, so they will have been counted

  const read: Fetched[] = []
  let [offset, epoch] = [0, -1]
  while (offset < 5) {
    const answer = await poll(offset, epoch)
    expect(answer.outOfRange).toBe(false)
    read.push(answer)
    ;[offset, epoch] = [offsetAfter(answer.data!, offset), lastEpoch(answer.data!)]
  }
  expect(await source.endOfEpoch(0, epoch), 'nothing is wrong yet').toBe(5)

  await cluster.kill(FIRST)
  await cluster.start(SECOND)
  await until(async () => ((await partition()).leader === SECOND ? true : null))
  await send(...Array.from({ length: 8 }, (_, i) => `other ${i}`))
  expect(await until(async () => (await source.offsets([0], 'latest')).get(0)!)).toBe(10)

  expect(await poll(offset, -1), 'without the leader epoch, offsets alone show nothing').toMatchObject({
    outOfRange: false,
  })
  expect(await poll(offset, epoch)).toMatchObject({ outOfRange: true, data: null })
  expect(await until(() => source.endOfEpoch(0, epoch))).toBe(2)
}, 120_000)
