/** One clock that is five minutes ahead, on a real run: what it does to others with unsafe settings, and what protects them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { Rig, type Worker } from './rig.ts'

const MINUTE = 60_000
const START = Math.floor(Date.now() / MINUTE) * MINUTE
const OLD = { outOfOrderness: '5s', idleTimeout: '2s', maxFutureSkew: '5m' }

let rig: Rig
let sent = 0

beforeAll(async () => {
  rig = await Rig.start('clocks')
})
afterAll(() => rig.stop())

/** Returns a spec with its own tables. */
function specNamed(name: string, watermark: object): string {
  const document = parseDocument(rig.specText)
  document.setIn(['metadata', 'name'], name)
  document.setIn(['spec', 'window'], { type: 'tumbling', size: '1m' })
  document.setIn(['spec', 'allowedLateness'], '30s')
  document.setIn(['spec', 'watermark'], watermark)
  document.deleteIn(['spec', 'load'])
  return String(document)
}

/** Sends `count` sales to partition 0, 10 ms apart. `aheadMs`: by which their event times are ahead of the timestamps. */
async function send(count: number, aheadMs: number, store: (i: number) => string): Promise<void> {
  const producer = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const messages = Array.from({ length: count }, (_, i) => {
    const timestamp = START + sent++ * 10
    const sale = { category: 'books', payment_method: 'cash', store_id: store(i), amount: '1.00', quantity: 1 }
    const time = new Date(timestamp + aheadMs).toISOString()
    return {
      partition: 0,
      value: JSON.stringify({ transaction_id: `t${sent}`, timestamp: time, ...sale }),
      timestamp: String(timestamp),
    }
  })
  await producer.send({ topic: 'transactions', messages })
  await producer.disconnect()
}

const sendWrong = () => send(12, 5 * MINUTE, () => 'wrong')
const sendRight = () => send(500, 0, i => `s${i % 9}`)

const lateIn = async (schema: string) =>
  (
    await rig.query<{ late: number }>(
      `SELECT count(*)::int AS late FROM ${schema}.late_events WHERE aggregation = 'sales_summary'`,
    )
  )[0]!.late

async function expectVerified(specText: string): Promise<void> {
  const verdict = await rig.verdict({ journal: false, specText })
  expect(verdict.problems).toEqual([])
  expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
}

const conditionsOf = async (worker: Worker) =>
  ((await (await fetch(`${worker.url}/status`)).json()) as { conditions: Record<string, string> }).conditions

describe('one clock that is five minutes ahead', () => {
  const plain = () => specNamed('clocks-plain', OLD)
  const agreeing = () => specNamed('clocks-agreeing', { ...OLD, sources: { field: 'store', atLeast: 2 } })

  it('makes the sales of all others late with the settings of release 0.3.0, and a condition names its record', async () => {
    const worker = await rig.startWorker(plain())
    await sendWrong()
    await sendRight()
    await rig.drained('clocks_plain')
    const report = () => conditionsOf(worker).then(({ WatermarkFarAhead: text }) => text ?? false)
    expect(await until('the condition is reported', report, 20_000, 200)).toMatch(
      /^partition 0: 500 of 512 records .* only 12 records agree with the watermark\. .* of offset 11, /,
    )
    expect(worker.log()).toMatch(/settings of the watermark are not safe together/)
    expect(await lateIn('clocks_plain')).toBe(500)
    worker.process.kill('SIGTERM')
    await worker.exited
    await expectVerified(plain())
  }, 180_000)

  it('makes no other sale late if several sources must agree, also when a worker is killed between them', async () => {
    const first = await rig.startWorker(agreeing())
    await rig.drained('clocks_agreeing')
    first.process.kill('SIGKILL')
    await first.exited
    const second = await rig.startWorker(agreeing())
    await sendRight()
    await rig.drained('clocks_agreeing')
    expect(await lateIn('clocks_agreeing')).toBe(0)
    const [progress] = await rig.query<{ sources: string }>(
      `SELECT sources FROM clocks_agreeing.progress WHERE partition = 0`,
    )
    expect(JSON.parse(progress!.sources)).toMatchObject({
      offset: 1012,
      latest: [['wrong', START + 5 * MINUTE + 110], expect.anything()],
    })
    second.process.kill('SIGTERM')
    await second.exited
    await expectVerified(agreeing())
  }, 180_000)
})
