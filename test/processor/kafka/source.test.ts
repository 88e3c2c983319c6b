import { Admin } from '@platformatic/kafka'
import { CompressionTypes } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkBatches, supportedBatches } from '#processor/adapters/kafka/fetch.ts'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { unpack } from '#processor/adapters/kafka/unpack.ts'
import { BatchCursor, offsetAfter } from '#processor/core/batches.ts'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { Fetched, FetchRequest } from '#processor/ports.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { createTopic, kafka, ownKafka } from '#test/support/services.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

type Read = {
  partition: number
  offset: number
  timestamp: number
  key: string | null
  value: string | null
  headers: [string, string][]
}

let bootstrap: string
const opened: { close(): Promise<void> }[] = []
let names = 0
const uniqueTopic = () => `source-${process.pid}-${names++}`

beforeAll(async () => {
  bootstrap = (await kafka()).bootstrap
})
afterAll(async () => {
  await Promise.all(opened.map(client => client.close()))
})

function openSource(topic: string, at = bootstrap): KafkaSource {
  const source = new KafkaSource(
    { clientId: 'test', bootstrapBrokers: [at], requestTimeout: 10_000, connectTimeout: 2000, retries: 0 } as never,
    topic,
  )
  opened.push(source)
  return source
}

/** Prevents a retry of kafkajs from writing a record twice. */
const ONCE = { idempotent: true, maxInFlightRequests: 1 }

const kafkajs = () => new Kafka({ brokers: [bootstrap], clientId: 'kafkajs', logLevel: logLevel.NOTHING })

function current(partition: number, cursor: BatchCursor): Read {
  const text = (start: number, end: number) => (end < 0 ? null : cursor.bytes.toString('utf8', start, end))
  return {
    partition,
    offset: cursor.offset,
    timestamp: cursor.timestamp,
    key: text(cursor.keyStart, cursor.keyEnd),
    value: text(cursor.valueStart, cursor.valueEnd),
    headers: cursor.headers(),
  }
}

/** Reads every partition to its end with our source and batch cursor. */
async function readAll(source: KafkaSource, partitions: number[]): Promise<Read[]> {
  const ends = await source.offsets(partitions, 'latest')
  const positions = new Map(partitions.map(partition => [partition, 0]))
  const cursor = new BatchCursor()
  const all: Read[] = []
  const behind = (): FetchRequest[] =>
    partitions
      .filter(p => positions.get(p)! < ends.get(p)!)
      .map(partition => ({ partition, offset: positions.get(partition)!, epoch: -1 }))
  while (behind().length > 0) {
    for (const { partition, offset, data, aborted } of await source.poll(behind())) {
      if (!data) continue
      cursor.begin(aborted, offset)
      for await (const piece of unpack(data)) {
        cursor.feed(piece)
        while (cursor.next()) all.push(current(partition, cursor))
      }
      expect(cursor.nextOffset).toBe(offsetAfter(data, offset))
      positions.set(partition, cursor.nextOffset)
    }
  }
  return all.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** Reads with kafkajs and the verifier's filter of aborted transactions, because kafkajs returns some of their records. */
async function readWithKafkajs(topic: string, count: number): Promise<Read[]> {
  const consumer = kafkajs().consumer({ groupId: `check-${topic}`, readUncommitted: false })
  const all: Read[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const { promise, resolve } = Promise.withResolvers<void>()
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).map(
        ([name, value]) => [name, String(value)] as [string, string],
      )
      all.push({
        partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: message.key?.toString() ?? null,
        value: message.value?.toString() ?? null,
        headers,
      })
      if (all.length === count) resolve()
    },
  })
  await promise
  await new Promise(done => setTimeout(done, 500)) // more records would be an error
  await consumer.disconnect()
  return all.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

describe('the records that KafkaSource reads', () => {
  it('reads the same records as kafkajs, with interleaved aborted transactions, gzip and headers', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 2)
    const plain = kafkajs().producer(ONCE)
    const transactional = ['a', 'b', 'c'].map(id =>
      kafkajs().producer({ transactionalId: `${topic}-${id}`, maxInFlightRequests: 1, idempotent: true }),
    )
    await Promise.all([plain, ...transactional].map(producer => producer.connect()))
    let sent = 0
    let aborted = 0
    for (let round = 0; round < 12; round++) {
      const open = await Promise.all(transactional.map(producer => producer.transaction()))
      for (const [i, transaction] of open.entries())
        for (let part = 0; part < 3; part++)
          await transaction.send({
            topic,
            messages: [{ partition: part % 2, key: `t${i}`, value: `round ${round} part ${part} of ${i}` }],
          })
      const messages = [
        { partition: round % 2, value: `plain ${round}`, headers: { traceparent: `00-${round}` } },
        { partition: 0, value: null },
      ]
      await plain.send({
        topic,
        messages,
        compression: round % 3 === 0 ? CompressionTypes.GZIP : CompressionTypes.None,
      })
      sent += 2
      for (const [i, transaction] of open.entries()) {
        if ((round + i) % 3 === 0) {
          await transaction.abort()
          aborted += 3
        } else {
          await transaction.commit()
          sent += 3
        }
      }
    }
    await Promise.all([plain, ...transactional].map(producer => producer.disconnect()))
    const ours = await readAll(await described(openSource(topic)), [0, 1])
    expect(aborted).toBeGreaterThan(20)
    expect(ours).toHaveLength(sent)
    expect(ours).toEqual(await readWithKafkajs(topic, sent))
  })

  it('reads a whole record of 10 MB', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 1, { 'max.message.bytes': '33554432' })
    const producer = kafkajs().producer(ONCE)
    await producer.connect()
    await producer.send({ topic, messages: [{ value: 'x'.repeat(10_000_000) }, { value: 'after' }] })
    await producer.disconnect()
    const read = await readAll(await described(openSource(topic)), [0])
    expect(read.map(r => r.value?.length)).toEqual([10_000_000, 5])
  })
})

async function described(source: KafkaSource): Promise<KafkaSource> {
  await source.describe()
  return source
}

describe('offsets of the log', () => {
  it('finds the earliest offset, the latest, and the first one at a timestamp', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 2)
    const producer = kafkajs().producer(ONCE)
    await producer.connect()
    for (let i = 0; i < 5; i++)
      await producer.send({ topic, messages: [{ partition: 1, value: 'v', timestamp: String(1000 + i) }] })
    await producer.disconnect()
    const source = await described(openSource(topic))
    expect(await source.offsets([0, 1], 'earliest')).toEqual(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    )
    expect(await source.offsets([0, 1], 'latest')).toEqual(
      new Map([
        [0, 0],
        [1, 5],
      ]),
    )
    expect(await source.offsets([1], 1003)).toEqual(new Map([[1, 3]]))
    expect(await source.offsets([1], 9999)).toEqual(new Map([[1, 5]])) // no record is that recent
  })

  it('reports an offset outside the log, while other partitions are still read', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 2)
    const producer = kafkajs().producer(ONCE)
    await producer.connect()
    await producer.send({
      topic,
      messages: [
        { partition: 0, value: 'a' },
        { partition: 1, value: 'b' },
      ],
    })
    await producer.disconnect()
    const source = await described(openSource(topic))
    const seen: Fetched[] = []
    while (seen.filter(f => f.data || f.outOfRange).length < 2)
      seen.push(
        ...(await source.poll([
          { partition: 0, offset: 77, epoch: -1 },
          { partition: 1, offset: 0, epoch: -1 },
        ])),
      )
    expect(seen.find(f => f.partition === 0)).toMatchObject({ outOfRange: true, data: null })
    expect(seen.find(f => f.partition === 1 && f.data)).toMatchObject({ outOfRange: false, highWatermark: 1 })
  })
})

describe('errors of KafkaSource', () => {
  it('detects corrupted bytes of a batch by its CRC', () => {
    const data = encodeBatch({
      baseOffset: 3,
      records: [{ delta: 0, timestamp: 1, key: null, value: Buffer.from('sound') }],
    })
    expect(() => checkBatches(data, 0)).not.toThrow()
    data[data.length - 2]! ^= 1
    expect(() => checkBatches(data, 0)).toThrow(/partition 0 offset 3.*checksum/)
  })

  it('returns the batches before one in an older message format, then that format and its offset', () => {
    const batch = (baseOffset: number) =>
      encodeBatch({ baseOffset, records: [{ delta: 0, timestamp: 0, key: null, value: Buffer.from('value') }] })
    const old = batch(1)
    old[16] = 1
    const unsupported = { format: 1, offset: 1 }
    expect(supportedBatches(Buffer.concat([batch(0), old]))).toEqual({ data: batch(0), unsupported: null })
    expect(supportedBatches(Buffer.concat([old, batch(2)]))).toEqual({ data: null, unsupported })
    // A record of an older format can be shorter than the header of a batch, and a response can end within a batch.
    expect(supportedBatches(old.subarray(0, 34))).toEqual({ data: null, unsupported })
    const cutOff = Buffer.concat([batch(0), batch(1).subarray(0, 40)])
    expect(supportedBatches(cutOff)).toEqual({ data: cutOff, unsupported: null })
  })

  it('reports a missing topic as Retryable, with what to do', async () => {
    const error = await openSource('no-such-topic')
      .describe()
      .catch(e => e)
    expect(error).toBeInstanceOf(Retryable)
    expect(error).toMatchObject({
      condition: 'TopicMissing',
      message: expect.stringContaining('no-such-topic does not exist: create it'),
    })
  })

  it('reports an address where nobody listens as Retryable', async () => {
    await expect(openSource('any', '127.0.0.1:1').describe()).rejects.toBeInstanceOf(Retryable)
  })

  it('reports a compacted topic as Fatal, because compaction removes sales', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 1, { 'cleanup.policy': 'compact' })
    await expect(openSource(topic).describe()).rejects.toMatchObject({ code: 'TopicCompacted' })
  })

  it('reports a topic that was deleted and created again as Fatal', async () => {
    const topic = uniqueTopic()
    await createTopic(bootstrap, topic, 1)
    const source = await described(openSource(topic))
    const admin = new Admin({ clientId: 'admin', bootstrapBrokers: [bootstrap] })
    opened.push(admin)
    await admin.deleteTopics({ topics: [topic] })
    await createTopic(bootstrap, topic, 1)
    let failure: unknown
    while (!(failure instanceof Fatal))
      failure = await source.poll([{ partition: 0, offset: 0, epoch: -1 }]).catch(e => e)
    expect(failure).toMatchObject({ code: 'TopicReplaced' })
  })

  it('continues after a broker crashes and restarts', async () => {
    const own = await ownKafka('source-restart')
    try {
      const topic = uniqueTopic()
      await createTopic(own.bootstrap, topic, 1)
      const source = await described(openSource(topic, own.bootstrap))
      await own.kill()
      await expect(source.poll([{ partition: 0, offset: 0, epoch: -1 }])).rejects.toBeInstanceOf(Retryable)
      await own.start()
      let answers: Fetched[] = []
      while (answers.length === 0) answers = await source.poll([{ partition: 0, offset: 0, epoch: -1 }]).catch(() => [])
      expect(answers[0]).toMatchObject({ partition: 0, highWatermark: 0 })
    } finally {
      await own.stop()
    }
  })
})
