/**
 * Backlog drain: one worker reads a preloaded topic to its end, deduplication and fsync on. Reports the worker's CPU
 * from its start to its exit, its peak memory and PostgreSQL's CPU; every run's rows are verified.
 *
 *   npm run bench:drain                           2,000,000 events, 5 runs
 *   npm run bench:drain -- --events 500000 --runs 3 --report drain.json
 *   npm run bench:drain -- --compare ../before    alternates with the worker of another checkout, and prints the ratio
 */
import { fork } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startKafka } from '#local/services/kafka.ts'
import { startPostgres } from '#local/services/postgres.ts'
import { pause } from '#local/services/process.ts'
import { WORKER_ENVIRONMENT, WORKER_FLAGS } from '#processor/flags.ts'
import type { verify as Verify } from '#verify/verify.ts'
import { fillTopic } from './backlog.ts'
import { alternate, type Figures, ROOT, report } from './compare.ts'
import { treeCpuSeconds } from './usage.ts'

const FIGURES = ['cpuPerMillion', 'peakMb', 'postgresCpu', 'eventsPerSecond'] as const
type Run = Figures<(typeof FIGURES)[number] | 'seconds' | 'verified'>

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2000000' },
    runs: { type: 'string', default: '5' },
    report: { type: 'string' },
    compare: { type: 'string' },
  },
})
const events = Number(values.events)
const dataDir = join(ROOT, '.local', `bench-drain-${events}`)
mkdirSync(dataDir, { recursive: true })

const kafka = await startKafka({ dataDir: join(dataDir, 'kafka'), progress: console.log })
const postgres = await startPostgres({ dataDir: join(dataDir, 'postgres') })
try {
  await main()
} finally {
  await Promise.all([kafka.stop(), postgres.stop()])
}

async function main(): Promise<void> {
  await postgres.createDatabase('sales')
  const file = writeSpec()
  await fill()
  const comparison = await alternate(Number(values.runs), values.compare, async (tree, title) => {
    const run = await drain(tree, file)
    print(title, run)
    return run
  })
  const { runs } = comparison
  const summary = report(comparison, FIGURES, values.compare)
  if (values.report)
    writeFileSync(values.report, `${JSON.stringify({ events, node: process.version, runs, summary }, null, 2)}\n`)
}

function print(title: string, run: Run): void {
  const figures = [
    `${run.cpuPerMillion.toFixed(2)} CPU s per million`,
    `${run.peakMb.toFixed(0)} MB`,
    `PostgreSQL ${run.postgresCpu.toFixed(2)} CPU s`,
    `${run.eventsPerSecond.toFixed(0)} events/s`,
    `${run.verified} rows verified`,
  ]
  console.log(`${title}: ${figures.join(', ')}`)
}

function writeSpec(): string {
  const text = readFileSync(join(ROOT, 'bench/drain.yaml'), 'utf8')
    .replace('source: {', `source: { bootstrapServers: ["${kafka.bootstrap}"],`)
    .concat(`  sinks: { postgres: { host: ${postgres.host}, port: ${postgres.port} } }\n`)
  const file = join(dataDir, 'pipeline.yaml')
  writeFileSync(file, text)
  return file
}

/** Fills the topic once per data folder: every run and every later call uses the same backlog. */
async function fill(): Promise<void> {
  const mark = join(dataDir, 'filled')
  try {
    console.log(`backlog of ${readFileSync(mark, 'utf8')}`)
    return
  } catch {} // not filled yet
  const size = await fillTopic(kafka.bootstrap, 'bench-drain', 8, events, sent => {
    if (sent % 200_000 === 0) console.log(`filled ${sent} of ${events}`)
  })
  writeFileSync(mark, `${events} events of ${size.toFixed(0)} bytes`)
}

/** `tree`: the checkout whose worker runs. */
async function drain(tree: string, file: string): Promise<Run> {
  const database = {
    host: postgres.host,
    port: postgres.port,
    user: postgres.user,
    password: postgres.password,
    database: 'sales',
  }
  const client = new pg.Client(database)
  await client.connect()
  await client.query('DROP SCHEMA IF EXISTS bench_drain CASCADE')
  await client.query('CHECKPOINT')
  const postgresBefore = treeCpuSeconds(postgres.pid)
  const startedAt = performance.now()
  const worker = fork(join(tree, 'processor/main.ts'), ['--file', file], {
    execArgv: WORKER_FLAGS,
    env: {
      ...process.env,
      ...WORKER_ENVIRONMENT,
      HTTP_PORT: '0',
      HTTP_HOST: '127.0.0.1',
      LOG_LEVEL: 'error',
      PGUSER: postgres.user,
      PGPASSWORD: postgres.password,
      SESSION_TIMEOUT_MS: '6000',
    },
  })
  const stopped = new Promise<{ cpuSeconds: number; maxRssBytes: number }>((resolve, reject) => {
    worker.on('message', (message: { type: string }) => {
      if (message.type === 'stopped') resolve(message as never)
    })
    worker.once('exit', code => {
      if (code !== 0) reject(new Error(`the worker exited with code ${code}`))
    })
  })
  await Promise.race([
    untilDrained(client),
    stopped.then(() => Promise.reject(new Error('the worker stopped before it had drained the topic'))),
  ])
  const seconds = (performance.now() - startedAt) / 1000
  worker.kill('SIGTERM')
  const { cpuSeconds, maxRssBytes } = await stopped
  const postgresCpu = treeCpuSeconds(postgres.pid) - postgresBefore
  await client.end()
  // The verifier of the same checkout: it knows the tables and the spec that this worker stores.
  const { verify } = (await import(join(tree, 'verify/verify.ts'))) as { verify: typeof Verify }
  const verdict = await verify({ specText: readFileSync(file, 'utf8'), bootstrap: kafka.bootstrap, postgres: database })
  if (!verdict.ok) throw new Error(`the verifier found wrong rows: ${verdict.problems.join('; ')}`)
  return {
    cpuPerMillion: (cpuSeconds / events) * 1e6,
    peakMb: maxRssBytes / 1e6,
    postgresCpu,
    seconds,
    eventsPerSecond: events / seconds,
    verified: verdict.rows.compared,
  }
}

async function untilDrained(client: pg.Client): Promise<void> {
  for (let records = 0; records < events; await pause(100)) {
    const result = await client.query('SELECT sum(records) AS records FROM bench_drain.progress').catch(() => null)
    records = Number(result?.rows[0]?.records ?? 0)
  }
}
