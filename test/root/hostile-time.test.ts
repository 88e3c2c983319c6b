/** Hostile timestamps, clocks that are ahead and removals without a token, in a real worker with the memory limit of its pod. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ConfigResourceTypes } from 'kafkajs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import type { Snapshot } from '#processor/adapters/telemetry/snapshot.ts'
import { Rig, type Worker } from '#test/integrity/rig.ts'
import { PARTITIONS } from '#test/integrity/spec.ts'
import { ecommerceSale } from '#test/producer/pipelines.ts'
import { MemoryLimit } from '#test/support/memory-limit.ts'
import { produceRaw } from '#test/support/raw-produce.ts'
import { encodeBatch, type TestRecord } from '#test/support/record-batch.ts'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

const MIB = 1 << 20
const SECOND = 1000
const MINUTE = 60 * SECOND

let folder: string
let limit: MemoryLimit
let rig: Rig
let worker: Worker
let specText: string
let sales = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'))
  limit = new MemoryLimit(512 * MIB, folder)
  rig = await Rig.start('hostile-time')
  await boundTimestamps(2n ** 63n - 1n)
  specText = withDefaults(rig.specText)
  worker = await rig.startWorker(specText, { MEMBERS_KEYS: writeKeys(), MEMBERS_PORT: '0' }, limit.node)
})
afterAll(async () => {
  worker?.process.kill('SIGTERM')
  await worker?.exited
  await rig?.stop()
  await limit?.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Leaves the settings of the watermark to the schema. */
function withDefaults(text: string): string {
  const document = parseDocument(text)
  for (const name of ['watermark', 'allowedLateness', 'load']) document.deleteIn(['spec', name])
  return String(document)
}

/** Sets how far ahead of its clock the broker accepts the timestamps of records. Kafka before 4.0 has no bound by default. */
async function boundTimestamps(ms: number | bigint): Promise<void> {
  const admin = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const configEntries = [{ name: 'message.timestamp.after.max.ms', value: String(ms) }]
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: 'transactions', configEntries }]
  await admin.alterConfigs({ validateOnly: false, resources })
  await admin.disconnect()
}

/** Writes what the operator gives to workers, so that they open the port on which members are removed. */
function writeKeys(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'ES256', use: 'sig' }
  const file = join(folder, 'removal-keys.json')
  writeFileSync(file, JSON.stringify({ subject: 'system:serviceaccount:any:operator', keys: [key] }))
  return file
}

const saleAt = (time: number | string) =>
  Buffer.from(ecommerceSale({ transaction_id: `id-${sales++}`, timestamp: new Date(time).toISOString() }))

type Sale = { time: number | string; timestamp?: number; timestampDelta?: bigint }

/** Resolves when the worker has committed the sales. Their records have the present as timestamp, unless they name another. */
async function send(batch: Sale[], partitions = [0]): Promise<void> {
  const base = Date.now()
  const encode = ({ time, timestamp = base, timestampDelta }: Sale, delta: number): TestRecord => ({
    delta,
    timestamp,
    key: null,
    value: saleAt(time),
    ...(timestampDelta !== undefined && { timestampDelta }),
  })
  for (const partition of partitions) {
    const data = encodeBatch({ baseOffset: 0, records: batch.map(encode) })
    await produceRaw(rig.servers.kafka.bootstrap, 'transactions', partition, data)
  }
  await rig.drained()
}

const sendHonest = (count: number) => send(Array.from({ length: count }, () => ({ time: Date.now() })))

/** Resolves with what the worker has stored about the partition and its late sales. */
async function stored() {
  const [progress] = await rig.query<{ records: number; accepted: number; dead: number; latest: string }>(
    `SELECT records::int, accepted::int, dead::int, max_event_time AS latest FROM ${rig.schema}.progress WHERE partition = 0`,
  )
  const [events] = await rig.query<{ late: number }>(`SELECT count(*)::int AS late FROM ${rig.schema}.late_events`)
  return { ...progress!, latest: Number(progress!.latest), late: events!.late }
}

/** Resolves with the watermarks that the worker reports, of the partition and of the pipeline, in ms. */
async function watermarks(): Promise<(number | null)[]> {
  const status = (await (await fetch(`${worker.url}/status`)).json()) as Pick<Snapshot, 'watermark' | 'partitions'>
  return [status.partitions.find(({ partition }) => partition === 0)?.watermark ?? null, status.watermark]
}

const FAR_FUTURE = '9999-12-31T23:59:59Z'
const LONG = { timeout: 300_000 }

it(
  'keeps greatest event time and watermark when records pretend that their timestamps are of the far future',
  LONG,
  async () => {
    const now = Date.now()
    const reached = [now - MINUTE, now - MINUTE]
    const areReported = async () => {
      // Repeated, because the pipeline's watermark holds while all partitions are idle.
      await send([{ time: now }], [...Array(PARTITIONS).keys()])
      return isDeepStrictEqual(await watermarks(), reached)
    }
    await until('the watermarks are reported', areReported, 60_000)
    const before = await stored()
    const hostile = [-(2n ** 62n), -(2n ** 63n)].flatMap(timestampDelta => [
      { time: FAR_FUTURE, timestampDelta },
      { time: Date.now() + 5 * MINUTE, timestampDelta },
      { time: Date.now(), timestampDelta },
    ])
    for (const copies of [1, 100]) await send(Array.from({ length: copies }, () => hostile).flat())
    expect(await stored()).toEqual({ ...before, records: before.records + 6 * 101, dead: 6 * 101 })
    expect(await watermarks()).toEqual(reached)
    await sendHonest(500)
    expect(await stored()).toMatchObject({ accepted: before.accepted + 500, late: 0 })
  },
)

it(
  'makes no correct sale late when clocks are five and ten minutes ahead, with the default settings',
  LONG,
  async () => {
    // As the operator creates topics with the default settings.
    await boundTimestamps(30 * SECOND)
    const before = await stored()
    for (const minutes of [5, 10]) {
      const ahead = minutes * MINUTE
      await send(Array.from({ length: 12 * (minutes / 5) }, () => ({ time: Date.now() + ahead })))
      await sendHonest(500)
    }
    expect(await stored()).toMatchObject({ accepted: before.accepted + 1000, dead: before.dead + 36, late: 0 })
    // As far ahead as the defaults let both clocks be: that of the sale, and that of the record.
    const now = Date.now()
    await send(Array.from({ length: 24 }, () => ({ time: now + MINUTE, timestamp: now + 30 * SECOND })))
    for (const minutes of [5, 10]) {
      const ahead = Date.now() + minutes * MINUTE
      await expect(send(Array.from({ length: 12 }, () => ({ time: ahead, timestamp: ahead })))).rejects.toThrow(
        'error 32',
      )
    }
    await sendHonest(500)
    expect(await stored()).toMatchObject({ accepted: before.accepted + 1524, latest: now + MINUTE, late: 0 })
  },
)

it('refuses thousands of removals without a token, and counts the next sale', LONG, async () => {
  const { accepted } = await stored()
  const remove = async (member: string) =>
    (await fetch(`${worker.membersUrl}/members/${member}`, { method: 'DELETE' })).status
  for (const count of [1000, 2000]) {
    const statuses = await Promise.all(Array.from({ length: count }, (_, i) => remove(i % 2 === 0 ? 'x' : `x-${i}`)))
    expect(statuses).toEqual(Array(count).fill(401))
  }
  expect(await rig.query(`SELECT count(*)::int AS count FROM ${rig.schema}.expelled`)).toEqual([{ count: 0 }])
  await sendHonest(1)
  expect(await stored()).toMatchObject({ accepted: accepted + 1, late: 0 })
})

it('counts every record exactly, in little memory', LONG, async () => {
  const verdict = await rig.verdict({ journal: false, specText })
  expect(verdict.problems).toEqual([])
  expect(verdict).toMatchObject({ ok: true, rows: { missing: 0, extra: 0, unequal: 0 } })
  expect(worker.process.exitCode).toBeNull()
  expect(limit.kills).toBe(0)
  expect(limit.peakBytes).toBeLessThan(512 * MIB)
  console.log(`most memory at a time: ${Math.round(limit.peakBytes / MIB)} MiB`)
})
