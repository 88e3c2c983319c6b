import { describe, expect, it } from 'vitest'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { Kafka, logLevel, withoutAborted } from '#verify/kafkajs.ts'
import { openTopic, type ReadRecord } from '#verify/log.ts'
import { settled } from './shop.ts'

describe('withoutAborted', () => {
  const ABORT = Buffer.of(0, 0, 0, 0)
  const COMMIT = Buffer.of(0, 0, 0, 1)

  /** `a1` is a record of transactional producer a, `-` a plain one; `a!` ends a's transaction by abort, `a.` by commit. */
  function kept(log: string, aborted: [producer: string, firstOffset: number][], from = 0): string {
    const messages = log.split(' ').map((text, index) => ({
      text,
      offset: String(from + index),
      key: text[1] === '!' ? ABORT : text[1] === '.' ? COMMIT : null,
      isControlRecord: '!.'.includes(text[1] ?? ' '),
      batchContext: { producerId: text[0]!, inTransaction: text !== '-' },
    }))
    const abortedTransactions = aborted.map(([producerId, offset]) => ({ producerId, firstOffset: String(offset) }))
    const remaining = withoutAborted({ messages, abortedTransactions })
    return remaining
      .filter(({ isControlRecord }) => !isControlRecord)
      .map(({ text }) => text)
      .join(' ')
  }

  it.each<[string, string, [string, number][], number, string]>([
    ['nothing aborted', 'a1 - a2 a.', [], 0, 'a1 - a2'],
    ['one aborted', 'a1 - a2 a! a3 a.', [['a', 0]], 0, '- a3'],
    [
      'interleaved, the second ends first',
      'a1 b1 a2 b! a3 a!',
      [
        ['b', 1],
        ['a', 0],
      ],
      0,
      '',
    ],
    [
      'both had begun before this fetch',
      'b2 a2 - b! a!',
      [
        ['a', 3],
        ['b', 4],
      ],
      10,
      '-',
    ],
    [
      'the same producer again',
      'a1 a! a2 a. a3 a!',
      [
        ['a', 0],
        ['a', 4],
      ],
      0,
      'a2',
    ],
    ['one of two', 'a1 b1 a2 b2 a! b.', [['a', 0]], 0, 'b1 b2'],
  ])('drops the records of aborted transactions: %s', (_, log, aborted, from, expected) => {
    expect(kept(log, aborted, from)).toBe(expected)
  })

  it('does not mistake a record for a control record because of its key', () => {
    const context = { producerId: 'a', inTransaction: true }
    const message = (offset: number, isControlRecord: boolean, key: Buffer | null) => ({
      offset: String(offset),
      key,
      isControlRecord,
      batchContext: context,
    })
    const messages = [message(0, false, ABORT), message(1, false, null), message(2, true, ABORT)]
    const abortedTransactions = [{ producerId: 'a', firstOffset: '0' }]
    expect(withoutAborted({ messages, abortedTransactions })).toEqual([messages[2]])
  })
})

describe('openTopic', () => {
  it('reads only committed records, over many fetches of interleaved transactions', async () => {
    const { bootstrap } = await kafka()
    const topic = unique('log')
    const client = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING })
    const producers = ['a', 'b', 'c'].map(name =>
      client.producer({ transactionalId: `${topic}-${name}`, idempotent: true, maxInFlightRequests: 1 }),
    )
    await createTopic(bootstrap, topic, 1)
    await Promise.all(producers.map(producer => producer.connect()))

    const transactions = []
    for (const producer of producers) transactions.push(await producer.transaction())
    for (let round = 0; round < 40; round++) {
      for (const [index, transaction] of transactions.entries()) {
        const messages = [{ key: 'abc'[index]!, value: Buffer.alloc(60_000) }]
        await transaction.send({ topic, messages })
      }
    }
    await transactions[2]!.abort()
    await transactions[0]!.abort()
    await transactions[1]!.commit()
    await Promise.all(producers.map(producer => producer.disconnect()))

    await settled(bootstrap, topic, [123])
    const records: ReadRecord[] = []
    const log = await openTopic(bootstrap, topic)
    await log.read(record => records.push(record))
    expect(records.map(({ key }) => String(key))).toEqual(Array(40).fill('b'))
    expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 40 }, (_, round) => round * 3 + 1))
    expect(log.ranges).toEqual([{ partition: 0, low: 0, end: 123 }])
  })

  it('reads nothing from an empty topic', async () => {
    const { bootstrap } = await kafka()
    const topic = unique('log')
    await createTopic(bootstrap, topic, 2)
    const log = await openTopic(bootstrap, topic)
    await log.read(() => expect.unreachable())
  })

  it('rejects with partition and offsets when the rest of the topic cannot be read', async () => {
    const { bootstrap } = await kafka()
    const topic = unique('log')
    const client = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING })
    await createTopic(bootstrap, topic, 1)
    const [producer, admin] = [client.producer(), client.admin()]
    await Promise.all([producer.connect(), admin.connect()])
    await producer.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] })
    const log = await openTopic(bootstrap, topic)
    await admin.fetchTopicOffsets(topic) // loads the metadata that the next call needs
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
    await Promise.all([producer.disconnect(), admin.disconnect()])
    await expect(log.read(() => expect.unreachable(), 3000)).rejects.toThrow(
      'no records arrived for 3 s; still to read: offsets 0 to 1 of partition 0.',
    )
  })

  it('reads the creation time from the sent-at header on a topic with append times, else null', async () => {
    const { bootstrap } = await kafka()
    const topic = unique('log')
    await createTopic(bootstrap, topic, 1, { 'message.timestamp.type': 'LogAppendTime' })
    const producer = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    await producer.send({ topic, messages: [{ value: 'a', headers: { 'sent-at': '1234' } }, { value: 'b' }] })
    await producer.disconnect()
    const made: (number | null)[] = []
    await (await openTopic(bootstrap, topic)).read(({ madeAt }) => made.push(madeAt))
    expect(made).toEqual([1234, null])
  })
})
