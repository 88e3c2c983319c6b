/**
 * A whole pipeline of real processes for one integrity test: its own Kafka and PostgreSQL (and Elasticsearch on request),
 * workers and load generator as they ship, and the verifier.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Admin, ITopicMetadata } from 'kafkajs'
import pg from 'pg'
import { WORKER_ENVIRONMENT, WORKER_FLAGS } from '#processor/flags.ts'
import { createTopic, ownElasticsearch, ownKafka, ownPostgres } from '#test/support/services.ts'
import { until } from '#test/support/until.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { type Verdict, verify } from '#verify/verify.ts'
import { PARTITIONS, schemaOf, specFor } from './spec.ts'

const root = resolve(import.meta.dirname, '../..')
const TOPIC = 'transactions'
/** Far longer than any test needs: a pipeline that never drains must fail with that message. */
const DRAINED_WITHIN_MS = 120_000

type OwnPostgres = Awaited<ReturnType<typeof ownPostgres>>
type Servers<K> = {
  kafka: K
  postgres: OwnPostgres
  /** What all programs connect to instead of PostgreSQL, or null. */
  pooler: Pooler | null
  elasticsearch: Awaited<ReturnType<typeof ownElasticsearch>> | null
}

type Pooler = { host: string; port: number; stop(): Promise<void> }
type RigOptions = { elasticsearch?: boolean; pooler?: (postgres: OwnPostgres) => Promise<Pooler> }

export type Worker = {
  id: string
  process: ChildProcess
  url: string
  /** Where it removes dead members; only with MEMBERS_KEYS. */
  membersUrl: string
  exited: Promise<number | null>
  /** Returns the log so far. */
  log(): string
}

type SingleKafka = Awaited<ReturnType<typeof ownKafka>>

export class Rig<K extends { bootstrap: string; stop(): Promise<void> } = SingleKafka> {
  readonly servers: Servers<K>
  readonly #folder: string
  readonly #file: string
  readonly #children = new Set<ChildProcess>()
  #started = 0

  private constructor(servers: Servers<K>, folder: string, file: string) {
    this.servers = servers
    this.#folder = folder
    this.#file = file
  }

  /** Starts the servers and creates topic and database. `name`: also the PostgreSQL schema. */
  static start(name: string, options: RigOptions = {}): Promise<Rig> {
    return Rig.on(ownKafka(name), name, options)
  }

  /** Does the same with a Kafka that is already starting. */
  static async on<K extends { bootstrap: string; stop(): Promise<void> }>(
    starting: Promise<K>,
    name: string,
    options: RigOptions = {},
  ): Promise<Rig<K>> {
    const [kafka, postgres, elasticsearch] = await Promise.all([
      starting,
      ownPostgres(name),
      options.elasticsearch ? ownElasticsearch(name) : null,
    ])
    await createTopic(kafka.bootstrap, TOPIC, PARTITIONS, { 'max.message.bytes': '33554432' })
    await postgres.createDatabase('sales')
    const pooler = options.pooler ? await options.pooler(postgres) : null
    const folder = mkdtempSync(join(tmpdir(), `${name}-run-`))
    mkdirSync(join(folder, 'journal'))
    mkdirSync(join(folder, 'commits'))
    const file = join(folder, 'pipeline.yaml')
    writeFileSync(file, specFor(name, { kafka, postgres: pooler ?? postgres, elasticsearch }))
    return new Rig({ kafka, postgres, pooler, elasticsearch }, folder, file)
  }

  get specText(): string {
    return readFileSync(this.#file, 'utf8')
  }

  get database() {
    const { pooler, postgres } = this.servers
    const { user, password } = postgres
    const { host, port } = pooler ?? postgres
    return { host, port, user, password, database: 'sales' }
  }

  /** Starts a worker with the program `node`. Resolves when it listens; it may not have joined the group yet. */
  async startWorker(
    specText = this.specText,
    env: Record<string, string> = {},
    node = process.execPath,
  ): Promise<Worker> {
    const id = `worker-${this.#started++}`
    const settings = {
      WORKER_ID: id,
      HTTP_PORT: '0',
      HTTP_HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      SESSION_TIMEOUT_MS: '2000',
      COMMIT_LOG: join(this.#folder, 'commits', `${id}.jsonl`),
    }
    const args = ['--file', this.#write(id, specText)]
    const { child, log } = this.#fork('processor/main.ts', args, { ...settings, ...env }, node)
    const { port, membersPort } = await this.#message<{ port: number; membersPort?: number }>(child, 'listening')
    return {
      id,
      process: child,
      url: `http://127.0.0.1:${port}`,
      membersUrl: `http://127.0.0.1:${membersPort}`,
      exited: exitOf(child),
      log: () => readFileSync(log, 'utf8'),
    }
  }

  /** Starts `producer serve`. Resolves when it accepts sales. */
  async startIngest(specText = this.specText, env: Record<string, string> = {}): Promise<Worker> {
    const id = `ingest-${this.#started++}`
    const args = ['serve', '--file', this.#write(id, specText), '--port', '0', '--log-level', 'warn']
    const { child, log } = this.#fork('producer/main.ts', args, env)
    const { url } = await this.#message<{ url: string }>(child, 'serving')
    return { id, process: child, url, membersUrl: '', exited: exitOf(child), log: () => readFileSync(log, 'utf8') }
  }

  #write(id: string, specText: string): string {
    const file = join(this.#folder, `${id}.yaml`)
    writeFileSync(file, specText)
    return file
  }

  #message<T>(child: ChildProcess, type: string): Promise<T> {
    return new Promise((resolve, reject) => {
      child.on('message', (message: { type: string }) => message.type === type && resolve(message as T))
      child.once('exit', code => reject(new Error(`exit code ${code} before message ${type}; see ${this.#folder}`)))
    })
  }

  /** Sends `rate` sales/s for `seconds` with every kind of fault. Rejects when the load generator fails. */
  async load(rate: number, seconds: number, seed: number): Promise<void> {
    const args = [
      'load',
      '--file',
      this.#file,
      '--rate',
      String(rate),
      '--for',
      `${seconds}s`,
      '--journal',
      join(this.#folder, 'journal'),
      '--seed',
      String(seed),
    ]
    const { child } = this.#fork('producer/main.ts', args, {})
    const code = await exitOf(child)
    if (code !== 0) throw new Error(`the load generator exited with code ${code}; see ${this.#folder}`)
  }

  #fork(script: string, args: string[], env: Record<string, string>, node = process.execPath) {
    const log = join(this.#folder, `${script.split('/')[0]}-${this.#started++}.log`)
    const { user, password } = this.servers.postgres
    const child = fork(join(root, script), args, {
      execPath: node,
      execArgv: WORKER_FLAGS,
      env: { ...process.env, ...WORKER_ENVIRONMENT, ...env, PGUSER: user, PGPASSWORD: password },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', data => writeFileSync(log, data, { flag: 'a' }))
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return { child, log }
  }

  /** Runs one of our programs to its end, with the rig's document. Resolves with its output, also after a failure. */
  async run(script: string, args: string[]): Promise<{ code: number | null; output: string }> {
    const { child, log } = this.#fork(script, [...args, '--file', this.#file], {})
    const code = await exitOf(child)
    return { code, output: existsSync(log) ? readFileSync(log, 'utf8') : '' }
  }

  async query<T extends pg.QueryResultRow>(text: string): Promise<T[]> {
    const client = new pg.Client(this.database)
    await client.connect()
    try {
      return (await client.query<T>(text)).rows
    } finally {
      await client.end()
    }
  }

  /** Locks every progress row, so that commits wait. Resolves with a function that releases the locks. */
  async holdProgress(): Promise<() => Promise<void>> {
    const client = new pg.Client(this.database)
    await client.connect()
    await client.query(`BEGIN; SELECT 1 FROM ${this.schema}.progress ORDER BY partition FOR UPDATE`)
    return () => client.query('ROLLBACK').then(() => client.end())
  }

  /** Waits until every partition is committed to its end and every row is projected. */
  drained(schema = this.schema): Promise<true> {
    const isDrained = () => this.#isDrained(schema).catch(() => false)
    return until('all is committed and projected', isDrained, DRAINED_WITHIN_MS, 200)
  }

  get schema(): string {
    return schemaOf(this.specText)
  }

  async #isDrained(schema: string): Promise<boolean> {
    const ends = await this.logEnds()
    const rows = await this.query<{ partition: number; next: string }>(
      `SELECT partition, next_offset AS next FROM ${schema}.progress`,
    )
    if (rows.length !== ends.size || rows.some(row => Number(row.next) !== ends.get(row.partition))) return false
    // Queried last: an earlier query would miss what a commit adds before its progress is read.
    const [{ waiting } = { waiting: 1 }] = await this.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM ${schema}.outbox`,
    )
    return waiting === 0
  }

  /** Resolves with the last stable offsets by partition, from an independent client. */
  async logEnds(): Promise<Map<number, number>> {
    const offsets = await this.#asAdmin(admin => admin.fetchTopicOffsets(TOPIC))
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
  }

  /** Grows the topic to `count` partitions. */
  async growTo(count: number): Promise<void> {
    await this.#asAdmin(admin => admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count }] }))
  }

  async topicPartitions(): Promise<ITopicMetadata['partitions']> {
    const { topics } = await this.#asAdmin(admin => admin.fetchTopicMetadata({ topics: [TOPIC] }))
    return topics[0]!.partitions
  }

  async #asAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = new Kafka({ brokers: this.servers.kafka.bootstrap.split(','), logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    try {
      return await work(admin)
    } finally {
      await admin.disconnect()
    }
  }

  /**
   * Verifies the pipeline. `journal: false`: the records in the log are not from the load generator. `specText`: the spec
   * of the workers, if it is not that of the rig.
   */
  async verdict({ journal = true, specText = this.specText } = {}): Promise<Verdict> {
    const { kafka, elasticsearch } = this.servers
    const commitLogs = readdirSync(join(this.#folder, 'commits')).map(name => join(this.#folder, 'commits', name))
    return verify({
      specText,
      bootstrap: kafka.bootstrap,
      postgres: this.database,
      ...(elasticsearch ? { elasticsearch: { url: elasticsearch.url } } : {}),
      ...(journal ? { journalDir: join(this.#folder, 'journal') } : {}),
      commitLogs,
    })
  }

  /** Stops all processes and servers, and removes the folder. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    await this.servers.pooler?.stop()
    await Promise.all([this.servers.kafka, this.servers.postgres, this.servers.elasticsearch].map(s => s?.stop()))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const exitOf = (child: ChildProcess) => new Promise<number | null>(resolve => child.once('exit', resolve))

/** Resolves with a metric of a worker, summed over the series whose labels contain `label`. */
export async function counterOf(worker: Worker, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`${worker.url}/metrics`)).text()
  return text
    .split('\n')
    .filter(line => line.startsWith(name) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
