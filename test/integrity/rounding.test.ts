/** An average and a sum are rounded once, on a real run; tables of release 0.3.0 keep rounding each event (section 7). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { counterOf, Rig, type Worker } from './rig.ts'
import { PARTITIONS } from './spec.ts'

const MEASURES = [
  { name: 'orders', op: 'count' },
  { name: 'revenue', op: 'sum', of: 'amount', scale: 2 },
  { name: 'mean', op: 'average', of: 'amount', scale: 2 },
  { name: 'least', op: 'min', of: 'amount', scale: 2 },
]

/** Sales of one window; 0.0004 occurs a thousand times. */
const AMOUNTS: Record<string, string[]> = {
  pair: ['4.1160', '9.5520'],
  small: Array(1000).fill('0.0004'),
  refund: ['-0.0050', '0.0000'],
}
const MORE: Record<string, string[]> = { pair: ['0.0040', '1.0000'] }

let rig: Rig
let sent = 0

beforeAll(async () => {
  rig = await Rig.start('rounding')
})
afterAll(() => rig.stop())

/** Returns a spec with its own tables, whose amounts have 4 decimals. `added`: another aggregation. */
function specNamed(name: string, roundEach: boolean, added: object[] = []): string {
  const document = parseDocument(rig.specText)
  document.setIn(['metadata', 'name'], name)
  document.setIn(['spec', 'event', 'fields', 3, 'scale'], 4)
  document.setIn(['spec', 'window', 'size'], '1h')
  document.deleteIn(['spec', 'load'])
  const measures = MEASURES.map(measure => (measure.op === 'count' ? measure : { ...measure, roundEach }))
  document.setIn(['spec', 'aggregations'], [{ name: 'summary', groupBy: ['category'], measures }, ...added])
  return String(document)
}

async function send(amounts: Record<string, string[]>): Promise<void> {
  const producer = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const messages = Object.entries(amounts).flatMap(([category, list]) =>
    list.map(amount => {
      const sale = { timestamp: '2026-11-29T12:00:00Z', category, payment_method: 'cash', store_id: 's', quantity: 1 }
      return {
        value: JSON.stringify({ transaction_id: `t${sent++}`, ...sale, amount }),
        timestamp: String(Date.UTC(2026, 10, 29, 12)),
      }
    }),
  )
  await producer.send({ topic: 'transactions', messages })
  await producer.disconnect()
}

const rows = (schema: string, columns: string) =>
  rig.query(`SELECT category, ${columns} FROM ${schema}.summary ORDER BY category`)

async function stopped(worker: Worker): Promise<void> {
  worker.process.kill('SIGTERM')
  expect(await worker.exited).toBe(0)
}

describe('amounts with more decimals than their results', () => {
  it('shows sum ÷ count, rounded once, in every row', async () => {
    await send(AMOUNTS)
    const specText = specNamed('once', false)
    const worker = await rig.startWorker(specText)
    await rig.drained('once')
    expect(await rows('once', 'revenue::text, revenue_sum::text, mean::text, mean_sum::text, least::text')).toEqual([
      { category: 'pair', revenue: '13.67', revenue_sum: '13.6680', mean: '6.83', mean_sum: '13.6680', least: '4.12' },
      { category: 'refund', revenue: '0.00', revenue_sum: '-0.0050', mean: '0.00', mean_sum: '-0.0050', least: '0.00' },
      { category: 'small', revenue: '0.40', revenue_sum: '0.4000', mean: '0.00', mean_sum: '0.4000', least: '0.00' },
    ])
    const [{ wrong } = { wrong: -1 }] = await rig.query<{ wrong: number }>(
      'SELECT count(*)::int AS wrong FROM once.summary WHERE abs(mean - mean_sum / mean_count) > 0.005',
    )
    expect(wrong).toBe(0)
    const verdict = await rig.verdict({ journal: false, specText })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
    await stopped(worker)
    expect(worker.log()).toContain('sum is rounded when shown')
  })

  it('continues to round each event in tables that release 0.3.0 created', async () => {
    const old = await rig.startWorker(specNamed('kept', true))
    await rig.drained('kept')
    await stopped(old)
    // What release 0.3.0 stored: the same identities, and a document without roundEach.
    await rig.query(
      `UPDATE kept.specs SET document = jsonb_set(document, '{spec,aggregations,0,measures}',
         (SELECT jsonb_agg(m - 'roundEach') FROM jsonb_array_elements(document #> '{spec,aggregations,0,measures}') m))`,
    )
    const specText = specNamed('kept', false)
    const worker = await rig.startWorker(specText)
    await send(MORE)
    await rig.drained('kept')
    const [pair, , small] = await rows('kept', 'revenue::text, mean::text, mean_sum::text')
    // 4.12 + 9.55 + 0.00 + 1.00
    expect(pair).toEqual({ category: 'pair', revenue: '14.67', mean: '3.67', mean_sum: '14.67' })
    expect(small).toMatchObject({ revenue: '0.00' })
    expect(await rig.query('SELECT generation FROM kept.specs')).toEqual([{ generation: 1 }])
    const verdict = await rig.verdict({ journal: false, specText })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
    await stopped(worker)
    expect(worker.log()).toContain('measure rounds each event, as in release 0.3.0')
  })

  it('rounds an aggregation once that is added beside such tables', async () => {
    const measures = MEASURES.filter(({ op }) => op !== 'count')
    const specText = specNamed('kept', false, [{ name: 'added', groupBy: ['category'], measures }])
    const worker = await rig.startWorker(specText)
    await until(
      'the worker claims every partition with the new spec',
      async () => (await rig.query('SELECT FROM kept.progress WHERE generation = 2')).length === PARTITIONS,
    )
    await send({ pair: AMOUNTS.pair! })
    await rig.drained('kept')
    const columns = 'revenue::text, mean::text, mean_sum::text'
    expect(await rows('kept', columns)).toContainEqual({
      category: 'pair',
      revenue: '28.34',
      mean: '4.72',
      mean_sum: '28.34',
    })
    expect(await rig.query(`SELECT ${columns}, revenue_sum::text FROM kept.added`)).toEqual([
      { revenue: '13.67', mean: '6.83', mean_sum: '13.6680', revenue_sum: '13.6680' },
    ])
    const verdict = await rig.verdict({ journal: false, specText })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
    await stopped(worker)
  })
})

/** Returns a spec of orders, whose total is in the record and whose products are in its lines. */
function ordersSpec(measures: object[], aggregation = 'orders'): string {
  const document = parseDocument(rig.specText)
  for (const part of ['load', 'deduplication']) document.deleteIn(['spec', part])
  document.setIn(['metadata', 'name'], 'orders')
  document.setIn(['spec', 'event'], {
    time: { path: 'created_at' },
    fields: [{ name: 'total_price', type: 'decimal' }],
    explode: { path: 'line_items', fields: [{ name: 'title' }] },
  })
  document.setIn(['spec', 'aggregations'], [{ name: aggregation, window: { type: 'none' }, measures }])
  return String(document)
}

const order = (total: string, ...titles: string[]) => ({
  value: JSON.stringify({
    created_at: '2026-11-29T12:00:00Z',
    total_price: total,
    line_items: titles.map(title => ({ title })),
  }),
  timestamp: String(Date.UTC(2026, 10, 29, 12)),
})

describe('orders with several lines', () => {
  const total = { op: 'sum', of: 'total_price' }

  it('add their total once with per: events', async () => {
    const producer = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    await producer.send({ topic: 'transactions', messages: [order('97.90', 'Mug', 'Shirt'), order('2.10', 'Mug')] })
    await producer.disconnect()
    const specText = ordersSpec([
      { name: 'revenue', ...total, per: 'events' },
      { name: 'mean', ...total, op: 'average', per: 'events' },
      { name: 'each', ...total, per: 'lines' },
    ])
    const worker = await rig.startWorker(specText)
    await rig.drained('orders')
    expect(await rig.query('SELECT revenue::text, mean::text, "each"::text FROM orders.orders')).toEqual([
      { revenue: '100.00', mean: '50.00', each: '197.90' },
    ])
    const verdict = await rig.verdict({ journal: false, specText })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
    await stopped(worker)
  })

  it('refuses orders with several lines when nothing says how often the total is added', async () => {
    const worker = await rig.startWorker(ordersSpec([{ name: 'revenue', ...total }], 'unclear'))
    expect(await worker.exited).toBe(1)
    expect(worker.log()).toMatch(/MeasureUnclear: unclear\.revenue: uses no field of a line/)
    expect(await rig.query("SELECT to_regclass('orders.unclear') AS found")).toEqual([{ found: null }])
  })
})

describe('a worker that cannot read how stored tables round', () => {
  it('reports that PostgreSQL is unavailable, and exits on SIGTERM', async () => {
    const document = parseDocument(rig.specText)
    document.setIn(['spec', 'sinks', 'postgres', 'port'], 1)
    const worker = await rig.startWorker(String(document))
    await until(
      'the worker reports StoreUnavailable',
      async () => (await counterOf(worker, 'salespipeline_condition', 'code="StoreUnavailable"')) === 1,
    )
    await stopped(worker)
  })
})
