/** A real transactional producer hangs: the pipeline reports it, and the runbook's command makes the results complete. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { installKafka } from '#local/services/install.ts'
import { javaCommand } from '#local/services/prerequisites.mjs'
import { Random } from '#test/support/random.ts'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { expectExact } from './exact.ts'
import { Rig, type Worker } from './rig.ts'

const seed = Number(process.env.INTEGRITY_SEED ?? Date.now() % 1_000_000)
const random = new Random(seed)
const TOPIC = 'transactions'

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('opentransaction')
})
afterAll(() => rig.stop())

type Status = {
  health: { ready: boolean }
  conditions: Record<string, string>
  partitions: { partition: number; lag: number; undecided: number }[]
}

const statusOf = async (worker: Worker) => (await (await fetch(`${worker.url}/status`)).json()) as Status
const reportedBy = async (worker: Worker) => (await statusOf(worker)).conditions.OpenTransaction

/** Runs the class that kafka-transactions.sh starts, and resolves with its output. */
async function kafkaTransactions(args: string): Promise<string> {
  const jars = join(await installKafka(() => {}), '*')
  const command = ['--bootstrap-server', rig.servers.kafka.bootstrap, ...args.split(' ')]
  const java = ['-cp', jars, 'org.apache.kafka.tools.TransactionsCommand', ...command]
  return (await promisify(execFile)(javaCommand(), java)).stdout
}

it('reports an open transaction until it is aborted by the reported command, and then counts every record', async () => {
  const worker = await rig.startWorker()
  await rig.load(1000, 3, random.int(1, 1e6))
  await rig.drained()
  const producer = new Kafka({ brokers: [rig.servers.kafka.bootstrap], logLevel: logLevel.NOTHING }).producer({
    transactionalId: 'hangs',
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: 600_000,
  })
  await producer.connect()
  const start = (await rig.logEnds()).get(0)!
  const transaction = await producer.transaction()
  await transaction.send({ topic: TOPIC, messages: [{ partition: 0, value: 'undecided' }] })
  const openedAt = Date.now()
  await rig.load(1000, 6, random.int(1, 1e6))

  const message = await until('the open transaction is reported', () => reportedBy(worker), 60_000)
  expect(Date.now() - openedAt, 'ms until the report').toBeGreaterThan(25_000)
  expect(message).toMatch(/^partition 0: producer \d+ has an open transaction, and wrote its last record at 20/)
  expect(message).toMatch(new RegExp(`--topic ${TOPIC} --partition 0 --start-offset ${start}$`))
  const { health, partitions } = await statusOf(worker)
  expect(health.ready).toBe(true)
  const { lag, undecided } = partitions[0]!
  expect(lag, 'records behind the transaction').toBeGreaterThan(100)
  expect(undecided).toBe(lag)
  expect(partitions.slice(1).map(({ lag }) => lag)).toEqual([0, 0, 0, 0, 0])

  const [, producerId] = message.match(/producer (\d+)/)!
  expect(await kafkaTransactions(`describe-producers --topic ${TOPIC} --partition 0`)).toContain(producerId)
  expect(await kafkaTransactions('list')).toMatch(new RegExp(`hangs\\s+\\d+\\s+${producerId}\\s+Ongoing`))
  const [, abort] = message.match(/kafka-transactions\.sh --bootstrap-server SERVER (abort .*)$/)!
  await kafkaTransactions(abort!)
  await until('the condition is cleared', async () => (await reportedBy(worker)) === undefined, 20_000)
  await rig.drained()
  expectExact(await rig.verdict())
  await until('the lag is 0', async () => (await statusOf(worker)).partitions.every(({ lag }) => lag === 0), 10_000)
  await producer.disconnect()
}, 180_000)
