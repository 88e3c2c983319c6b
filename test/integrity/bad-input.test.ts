import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { Rig, type Worker } from './rig.ts'

type Message = { partition?: number; value: Buffer | string | null; timestamp?: string }

const good = {
  transaction_id: 'good',
  timestamp: '2026-11-23T10:00:00Z',
  category: 'books',
  payment_method: 'cash',
  store_id: 's1',
  amount: '1.00',
  quantity: 1,
}
const sale = (change: object) => JSON.stringify({ ...good, transaction_id: `id-${count++}`, ...change })
const raw = (field: string, text: string) => sale({ [field]: '@' }).replace(`"${field}":"@"`, `"${field}":${text}`)
let count = 0

/** The value sent, and the reason and field expected in its dead letter. */
const POISON: [what: string, value: Buffer | string | null, reason: string, field: string | null][] = [
  ['a tombstone', null, 'tombstone', null],
  ['an empty value', '', 'empty_value', null],
  ['broken JSON', '{"transaction_id": "x", ', 'not_json', null],
  ['a byte order mark', `\uFEFF${sale({})}`, 'not_json', null],
  ['an array', '[1, 2]', 'not_an_object', null],
  ['a number', '42', 'not_an_object', null],
  ['ten thousand brackets', `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'too_deep', null],
  ['half a million values', `[${'{},'.repeat(250_000)}0]`, 'too_many_values', null],
  ['no id', sale({ transaction_id: undefined }), 'missing_id', 'transaction_id'],
  ['an id that is an object', sale({ transaction_id: {} }), 'wrong_type', 'transaction_id'],
  ['no time', sale({ timestamp: undefined }), 'missing_field', 'timestamp'],
  ['a time without a zone', sale({ timestamp: '2026-11-23T10:00:00' }), 'bad_time', 'timestamp'],
  ['second 60', sale({ timestamp: '2026-11-23T10:00:60Z' }), 'bad_time', 'timestamp'],
  ['February 30', sale({ timestamp: '2026-02-30T10:00:00Z' }), 'bad_time', 'timestamp'],
  ['the year 9999', sale({ timestamp: '9999-12-31T23:59:59Z' }), 'future_timestamp', 'timestamp'],
  ['no category', sale({ category: undefined }), 'missing_field', 'category'],
  ['a number for a category', sale({ category: 7 }), 'wrong_type', 'category'],
  ['U+0000 in a key', raw('category', '"a\\u0000b"'), 'bad_string', 'category'],
  ['a lone surrogate', raw('category', '"\\ud800"'), 'bad_string', 'category'],
  ['invalid UTF-8', Buffer.from(sale({ category: 'é' }), 'latin1'), 'bad_string', 'category'],
  ['a 10 kB group value', sale({ category: 'x'.repeat(10_000) }), 'key_too_long', 'category'],
  ['1e400', raw('amount', '1e400'), 'overflow', 'amount'],
  ['three decimals', raw('amount', '0.001'), 'too_many_decimals', 'amount'],
  ['NaN', raw('amount', '"NaN"'), 'bad_number', 'amount'],
  ['an amount with blanks', raw('amount', '" 1.00"'), 'bad_number', 'amount'],
  ['an amount in a list', raw('amount', '[1]'), 'wrong_type', 'amount'],
  [
    '__proto__ instead of fields',
    '{"__proto__":{"transaction_id":"p","category":"books"},"timestamp":"2026-11-23T10:00:00Z"}',
    'missing_id',
    'transaction_id',
  ],
  ['10 MB of nothing useful', `{"padding":"${'x'.repeat(10_000_000)}"}`, 'missing_id', 'transaction_id'],
]

/** Unusual but valid sales. */
const VALID: [what: string, value: string][] = [
  ['0.1', raw('amount', '0.1')],
  ['0.2', raw('amount', '"0.2"')],
  ['a refund', raw('amount', '-0.30')],
  ['zeros beyond the scale', raw('amount', '1.000')],
  ['an exponent', raw('amount', '1e2')],
  ['thirty digits', raw('amount', `"${'9'.repeat(30)}.99"`)],
  ['a key that looks like SQL', sale({ category: `'; DROP TABLE sales_summary; --` })],
  ['an empty category', sale({ category: '' })],
  ['the last of two amounts', sale({}).replace('"amount":"1.00"', '"amount":"junk","amount":"2.00"')],
  ['__proto__ beside the fields', sale({}).replace('{', '{"__proto__":{"amount":"9"},')],
  ['deep but unused nesting', raw('extra', '[[[[[[[[[[1]]]]]]]]]]').replace('"extra":"@",', '')],
]

let rig: Rig
let worker: Worker

beforeAll(async () => {
  rig = await Rig.start('badinput')
  worker = await rig.startWorker()
})
afterAll(() => rig.stop())

const NOW = BigInt(Date.parse('2026-11-23T10:00:05Z'))

/** Sends each value in a batch of its own. */
const send = (values: (Buffer | string | null)[]) =>
  sendBatches(values.map(value => [{ partition: 0, value, timestamp: String(NOW) }]))

async function sendBatches(batches: Message[][]): Promise<void> {
  const producer = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).producer({
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  for (const messages of batches) await producer.send({ topic: 'transactions', messages })
  await producer.disconnect()
}

describe('bad input', () => {
  it('stores bad input as dead letters with reason and field, and continues', async () => {
    await send([...POISON.map(([, value]) => value), ...VALID.map(([, value]) => value)])
    await rig.drained()
    const letters = await rig.query<{ reason: string; field: string | null }>(
      `SELECT reason, field FROM ${rig.schema}.dead_letters ORDER BY partition, record_offset`,
    )
    expect(letters.map((letter, i) => [POISON[i]?.[0], letter.reason, letter.field])).toEqual(
      POISON.map(([what, , reason, field]) => [what, reason, field]),
    )
    const [{ accepted }] = (await rig.query<{ accepted: string }>(
      `SELECT sum(accepted) AS accepted FROM ${rig.schema}.progress`,
    )) as [{ accepted: string }]
    expect(Number(accepted)).toBe(VALID.length)
    const [{ revenue }] = (await rig.query<{ revenue: string }>(
      `SELECT sum(revenue)::text AS revenue FROM ${rig.schema}.sales_by_payment`,
    )) as [{ revenue: string }]
    // 0.1 + 0.2 − 0.30 + 1 + 100 + 999…9.99 + 1 + 1 + 2 + 1 + 1: exact to the cent; doubles would be off by billions.
    expect(revenue).toBe('1000000000000000000000000000106.99')
  }, 120_000)

  it('does not take a record timestamp of the far past for one of the far future', async () => {
    const value = sale({ timestamp: '9999-12-31T23:59:59Z' })
    const farPast = String(NOW - 2n ** 62n)
    await sendBatches([
      [
        // kafkajs takes the batch's timestamp from the text that sorts first: "+" sorts before "-".
        { partition: 0, value: sale({}), timestamp: `+${NOW}` },
        { partition: 0, value, timestamp: farPast },
      ],
    ])
    await rig.drained()
    const letters = await rig.query(
      `SELECT reason FROM ${rig.schema}.dead_letters WHERE partition = 0 ORDER BY record_offset DESC LIMIT 1`,
    )
    expect(letters).toEqual([{ reason: 'future_timestamp' }])
    const [progress] = await rig.query(`SELECT max_event_time FROM ${rig.schema}.progress WHERE partition = 0`)
    expect(progress).toEqual({ max_event_time: String(Date.parse(good.timestamp)) })
  }, 60_000)

  it('stores a flood of bad records, and counts the next sale', async () => {
    await sendBatches(Array(20).fill(Array(1000).fill({ value: 'poison' })))
    await send([sale({})])
    await rig.drained()
    const verdict = await rig.verdict({ journal: false })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, deadLettered: 20_000 + POISON.length + 1 })
    worker.process.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
  }, 240_000)

  it('reports an unreachable Kafka address while the worker keeps waiting', async () => {
    const waiting = await rig.startWorker(rig.specText.replace(rig.servers.kafka.bootstrap, '127.0.0.1:1'))
    let ready: { reasons: string[] } = { reasons: [] }
    while (!ready.reasons.join().includes('127.0.0.1:1'))
      ready = (await (await fetch(`${waiting.url}/readyz`)).json()) as typeof ready
    expect(ready.reasons.join()).toMatch(/SourceUnavailable/)
    waiting.process.kill('SIGTERM')
    expect(await waiting.exited).toBe(0)
  }, 120_000)
})
