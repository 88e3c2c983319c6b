/** Batches and records that become large when they are read or aggregated, in a real worker with the default memory limit. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGzip, createZstdCompress } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { Rig, type Worker } from '#test/integrity/rig.ts'
import { ecommerceSale } from '#test/producer/pipelines.ts'
import { MemoryLimit } from '#test/support/memory-limit.ts'
import { produceRaw } from '#test/support/raw-produce.ts'
import { encodeFrame, encodeRecord, varint } from '#test/support/record-batch.ts'
import { createTopic } from '#test/support/services.ts'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

const MIB = 1 << 20
const TIMESTAMP = Date.parse('2026-11-23T10:00:05Z')

let folder: string
let limit: MemoryLimit
let rig: Rig
let worker: Worker

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'))
  limit = new MemoryLimit(512 * MIB, folder)
  rig = await Rig.start('hostile')
  worker = await rig.startWorker(undefined, {}, limit.node)
})
afterAll(async () => {
  worker?.process.kill('SIGTERM')
  await worker?.exited
  await rig?.stop()
  await limit?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const CODECS = { gzip: { codec: 1, create: createGzip }, zstd: { codec: 4, create: createZstdCompress } }

type Bomb = { codec: keyof typeof CODECS; count: number; value: Buffer; kind: 'records' | 'one record' }

/** Compresses `count` records with this value, or one record that consists of all of it, without holding them. */
async function encodeBomb({ codec, count, value, kind }: Bomb): Promise<Buffer> {
  const stream = CODECS[codec].create()
  const chunks: Buffer[] = []
  stream.on('data', chunk => chunks.push(chunk))
  const write = async (bytes: Buffer) => void (stream.write(bytes) || (await once(stream, 'drain')))
  const records = kind === 'records' ? count : 1
  if (kind === 'records')
    for (let delta = 0; delta < count; delta++)
      await write(encodeRecord({ delta, timestamp: TIMESTAMP, key: null, value }, TIMESTAMP))
  else {
    for (const part of recordAround(count * value.length)) await write(part)
    for (let i = 0; i < count; i++) await write(value)
    await write(Buffer.of(0)) // headers
  }
  stream.end()
  await once(stream, 'end')
  const compression = { codec: CODECS[codec].codec }
  const frame = { baseOffset: 0, baseTimestamp: BigInt(TIMESTAMP), maxTimestamp: TIMESTAMP, compression }
  return encodeFrame({ ...frame, records, lastDelta: records - 1 }, Buffer.concat(chunks))
}

/** Returns what comes before a value of that length: the record's length, fields without content, the value's length. */
function recordAround(valueBytes: number): Buffer[] {
  const length = varint(BigInt(valueBytes))
  const fields = Buffer.of(0, 0, 0, 1) // attributes, timestamp, offset, no key
  return [varint(BigInt(fields.length + length.length + valueBytes + 1)), fields, length]
}

const large = Buffer.from(JSON.stringify({ padding: 'x'.repeat(MIB) }))
const duplicate = Buffer.from(ecommerceSale({ timestamp: '2026-11-23T10:00:00Z', padding: 'x'.repeat(600) }))

describe('a worker with a memory limit of 512 MiB', () => {
  it.each([
    ['900 MiB of records of a megabyte', { codec: 'gzip', count: 900, value: large, kind: 'records' }],
    ['1,800 MiB of records of a megabyte', { codec: 'zstd', count: 1800, value: large, kind: 'records' }],
    ['a record of 1,800 MiB', { codec: 'zstd', count: 1800, value: large, kind: 'one record' }],
    ['100,000 sales', { codec: 'gzip', count: 100_000, value: duplicate, kind: 'records' }],
  ] as [string, Bomb][])(
    'reads a batch that unpacks to %s',
    async (_what, bomb) => {
      const batch = await encodeBomb(bomb)
      expect(batch.length).toBeLessThan(8 * MIB)
      await produceRaw(rig.servers.kafka.bootstrap, 'transactions', 0, batch)
      await until('all is committed', () => rig.drained().catch(() => false), 300_000)
      expect(limit.kills).toBe(0)
      expect(worker.process.exitCode).toBeNull()
    },
    400_000,
  )

  it('counts every record of the hostile batches, exactly', async () => {
    const verdict = await rig.verdict({ journal: false })
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, deadLettered: 900 + 1800 + 1, duplicates: 99_999, aggregated: 1 })
    const letters = await rig.query(
      `SELECT reason, count(*)::int AS count, max(payload_bytes) AS bytes FROM ${rig.schema}.dead_letters GROUP BY 1 ORDER BY 1`,
    )
    expect(letters).toEqual([
      { reason: 'missing_id', count: 900 + 1800, bytes: String(large.length) },
      { reason: 'too_large', count: 1, bytes: String(1800 * large.length) },
    ])
    expect(limit.peakBytes).toBeLessThan(512 * MIB)
    console.log(`most memory at a time: ${Math.round(limit.peakBytes / MIB)} MiB`)
  }, 300_000)
})

describe('an order with 10,000 lines in 64 windows of two aggregations', () => {
  const schema = 'hostile_orders'
  const spec = () => {
    const document = parseDocument(rig.specText)
    document.setIn(['metadata', 'name'], 'hostile-orders')
    document.setIn(['spec', 'source', 'topic'], 'orders')
    document.setIn(['spec', 'source', 'partitions'], 1)
    document.setIn(['spec', 'window'], { type: 'sliding', size: '64m', slide: '1m' })
    document.setIn(['spec', 'event'], {
      id: 'id',
      time: { path: 'at' },
      fields: [{ name: 'total', type: 'decimal', scale: 2 }],
      explode: { path: 'lines', fields: [{ name: 'sku' }, { name: 'price', type: 'decimal', scale: 2 }] },
    })
    const measures = [
      { name: 'revenue', op: 'sum', of: 'price' },
      { name: 'orders', op: 'count', of: 'events' },
      { name: 'totals', op: 'sum', of: 'total', per: 'events' },
    ]
    document.setIn(
      ['spec', 'aggregations'],
      ['by_sku', 'by_price'].map((name, i) => ({ name, groupBy: i === 0 ? ['sku'] : ['sku', 'price'], measures })),
    )
    for (const name of ['raw', 'load']) document.deleteIn(['spec', name])
    return String(document)
  }
  const order = (id: string, lines: number) =>
    JSON.stringify({
      id,
      at: '2026-11-23T10:00:00Z',
      total: '10000.00',
      // Each product occurs twice, far apart: both in the same rows, but in different commits.
      lines: Array.from({ length: lines }, (_, i) => ({ sku: `p${i % 9000}`, price: '1.00' })),
    })
  const start = () => rig.startWorker(spec(), {}, limit.node)

  it('counts an order with 10,000 lines exactly, and replaces any worker that is killed meanwhile', async () => {
    worker.process.kill('SIGTERM')
    await worker.exited
    await createTopic(rig.servers.kafka.bootstrap, 'orders', 1, { 'max.message.bytes': '8388608' })
    const producer = new Kafka({
      brokers: rig.servers.kafka.bootstrap.split(','),
      logLevel: logLevel.NOTHING,
    }).producer()
    await producer.connect()
    const orders = [order('first', 2), order('long', 10_000), order('too-long', 45_000), order('longer', 90_000)]
    for (const value of [...orders, order('last', 2)]) await producer.send({ topic: 'orders', messages: [{ value }] })
    await producer.disconnect()
    worker = await start()
    const lines = async () => {
      const rows = await rig.query<{ lines: number | null }>(`SELECT counted_lines AS lines FROM ${schema}.progress`)
      return rows[0]?.lines ?? 0
    }
    await until('some lines are committed', () => lines().catch(() => 0), 120_000, 50)
    worker.process.kill('SIGKILL')
    await worker.exited
    const committed = await lines()
    expect(committed).toBeGreaterThan(0)
    expect(committed).toBeLessThan(10_000)
    worker = await start()
    const next = `SELECT 1 FROM ${schema}.progress WHERE next_offset = 5`
    await until('all is committed', () => rig.query(next).then(rows => rows.length === 1), 300_000)
    // The verifier would need minutes for so many rows, and each of them is easily foretold.
    for (const table of ['by_sku', 'by_price'])
      expect(
        await rig.query(
          `SELECT count(*)::int AS rows, revenue::float AS revenue, orders::int AS orders, totals::float AS totals
           FROM ${schema}.${table} GROUP BY 2, 3, 4 ORDER BY 3, 2`,
        ),
      ).toEqual([
        { rows: 64 * 8000, revenue: 1, orders: 1, totals: 10_000 },
        { rows: 64 * 998, revenue: 2, orders: 1, totals: 10_000 },
        { rows: 64 * 2, revenue: 4, orders: 3, totals: 30_000 },
      ])
    const [counters] = await rig.query(`SELECT records, dead, accepted FROM ${schema}.progress`)
    expect(counters).toEqual({ records: '5', dead: '2', accepted: '3' })
    expect(limit.kills).toBe(0)
    expect(limit.peakBytes).toBeLessThan(512 * MIB)
    console.log(`most memory at a time: ${Math.round(limit.peakBytes / MIB)} MiB`)
  }, 600_000)
})
