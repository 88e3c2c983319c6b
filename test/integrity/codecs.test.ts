/**
 * Engine and verifier read every codec of Kafka in every form that a broker stores, each with code of its own; a corrupt batch
 * gives no verdict.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { REFUSED_FORMS, STORED_FORMS } from '#test/support/batch-forms.ts'
import { PRODUCER_CODECS } from '#test/support/codecs.ts'
import { produceRaw } from '#test/support/raw-produce.ts'
import { encodeBatch, type TestBatch } from '#test/support/record-batch.ts'
import { until } from '#test/support/until.ts'
import { Rig, type Worker } from './rig.ts'

const TOPIC = 'transactions'
const TIME = '2026-11-23T10:00:00Z'
const SALES = 50
const CODECS = [undefined, ...[...PRODUCER_CODECS, ...STORED_FORMS].map(([, codec]) => codec)]

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('codecs')
})
afterAll(() => rig.stop())

/** `deltas`: what the records say about their offsets; the broker does not check it if they are not compressed. */
function batchOf(number: number, compression: TestBatch['compression'], deltas = [...Array(SALES).keys()]): Buffer {
  const value = (sale: number) => ({
    transaction_id: `${number}-${sale}`,
    timestamp: TIME,
    category: `category-${sale % 7}`,
    payment_method: 'cash',
    store_id: `s${number}`,
    amount: `${sale}.25`,
    quantity: 1,
  })
  const records = deltas.map((delta, sale) => {
    const bytes = Buffer.from(JSON.stringify(value(sale)))
    return { delta, timestamp: Date.parse(TIME), key: null, value: bytes }
  })
  return encodeBatch({ baseOffset: 0, records, ...(compression && { compression }) })
}

/** Changes a byte of the batch at `offset` in the broker's file. `at`: its index in the batch, from the end if negative. */
function change(partition: number, offset: number, at: number, to: (byte: number) => number): void {
  const file = join(rig.servers.kafka.dataDir, 'log', `${TOPIC}-${partition}`, '00000000000000000000.log')
  const bytes = readFileSync(file)
  const end = (start: number) => start + 12 + bytes.readInt32BE(start + 8)
  let start = 0
  while (bytes.readBigInt64BE(start) !== BigInt(offset)) start = end(start)
  const index = at < 0 ? end(start) + at : start + at
  bytes[index] = to(bytes[index]!)
  writeFileSync(file, bytes, { flag: 'r+' })
}

const produce = (partition: number, number: number, compression?: TestBatch['compression'], deltas?: number[]) =>
  produceRaw(rig.servers.kafka.bootstrap, TOPIC, partition, batchOf(number, compression, deltas))

async function stop(worker: Worker): Promise<void> {
  worker.process.kill('SIGTERM')
  await worker.exited
}

it('gives an exact verdict on a topic with batches in every form that a broker stores, and none on a topic with a corrupt batch', async () => {
  const worker = await rig.startWorker()
  for (const [name, compression] of REFUSED_FORMS)
    await expect(produce(0, 999, compression), name).rejects.toThrow('the broker refused the batch')
  for (const [number, compression] of CODECS.entries()) await produce(0, number, compression)
  await rig.drained()
  const records = CODECS.length * SALES
  const verdict = await rig.verdict({ journal: false })
  expect(verdict).toMatchObject({ ok: true, problems: [], records, aggregated: records, lost: 0, doubled: 0 })

  await stop(worker)
  const flip = (byte: number) => byte ^ 1
  change(0, 2 * SALES, -1, flip)
  await expect(rig.verdict({ journal: false })).rejects.toThrow(
    `partition 0: the record batch at offset ${2 * SALES} cannot be read: its checksum is wrong`,
  )
  change(0, 2 * SALES, -1, flip)
}, 180_000)

it('counts every record of batches that state wrong offsets, and of those that follow', async () => {
  const worker = await rig.startWorker()
  const before = (await rig.logEnds()).get(3)!
  const wrong = [...Array(SALES).keys()].map(delta => (delta === 1 ? 5 * SALES : delta % 10 === 0 ? 0 : delta))
  for (const [number, deltas] of [undefined, wrong, undefined].entries())
    await produce(3, 200 + number, undefined, deltas)
  await rig.drained()
  expect((await rig.logEnds()).get(3)! - before).toBe(3 * SALES)
  expect(await rig.verdict({ journal: false })).toMatchObject({ ok: true, problems: [], lost: 0, doubled: 0 })
  const [stored] = await rig.query<{ sales: string }>(
    `SELECT count(*) AS sales FROM ${rig.schema}.sales_raw WHERE partition = 3`,
  )
  expect(Number(stored!.sales)).toBe(3 * SALES)
  await stop(worker)
}, 180_000)

it('stops a partition at a record in an older message format, with its offset, and continues the others', async () => {
  await produce(1, 100)
  await produce(1, 101)
  change(1, SALES, 16, () => 1) // message format
  change(1, SALES, 17, () => 0) // attributes in that format: not compressed
  const worker = await rig.startWorker()
  const conditions = async () => {
    const status = await (await fetch(`${worker.url}/status`)).json()
    return (status as { conditions: Record<string, string> }).conditions
  }
  const message = await until('the condition', async () => (await conditions()).MessageFormatUnsupported)
  expect(message).toContain(`partition 1 offset ${SALES}: message format 1 is not supported. Copy the records`)
  await produce(2, 102)
  const positions = async () => {
    const rows = await rig.query<{ next: string }>(
      `SELECT next_offset AS next FROM ${rig.schema}.progress WHERE partition IN (1, 2) ORDER BY partition`,
    )
    return rows.map(({ next }) => Number(next))
  }
  await until('both partitions are committed', async () => (await positions()).every(next => next === SALES))
  expect(await conditions()).not.toHaveProperty('SourceUnavailable')
  await stop(worker)
}, 60_000)
