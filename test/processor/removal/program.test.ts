/** Runs the removal as a process on its own servers, over data that a store and a projection wrote. */
import { type ChildProcess, fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { pause } from '#local/services/process.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { openElasticsearchSink } from '#processor/adapters/elasticsearch/open.ts'
import { openPostgresStore } from '#processor/adapters/postgres/open.ts'
import { drain } from '#processor/projector.ts'
import { ownFolder } from '#test/support/folder.ts'
import { ownElasticsearch, ownPostgres } from '#test/support/services.ts'
import { byStore, commitNext, documentOf, T0, TOPIC } from '../store/fixture.ts'
import { telemetryForTest } from '../telemetry/fixture.ts'

const MAIN = resolve(import.meta.dirname, '../../../processor/main.ts')
const DATABASE = 'sales'

let postgres: Awaited<ReturnType<typeof ownPostgres>>
let elasticsearch: Awaited<ReturnType<typeof ownElasticsearch>>
beforeAll(async () => {
  ;[postgres, elasticsearch] = await Promise.all([ownPostgres('removal'), ownElasticsearch('removal')])
  await postgres.createDatabase(DATABASE)
})
afterAll(() => Promise.all([postgres?.stop(), elasticsearch?.stop()]))

const accessTo = ({ user, password }: typeof postgres) => ({ PGUSER: user, PGPASSWORD: password })

/** Stores a row of the pipeline `name` and projects it into the index `name`. Resolves with the pipeline's YAML. */
async function stored(name: string): Promise<string> {
  const text = documentOf(
    ['name: sales, namespace: shop', `name: ${name}, namespace: shop`],
    [
      '  sinks:\n    elasticsearch:',
      `  sinks:\n    postgres: { host: ${postgres.host}, port: ${postgres.port}, database: ${DATABASE}, schema: ${name} }\n    elasticsearch:\n      nodes: ["${elasticsearch.url}"]`,
    ],
    ['index: by-store', `index: ${name}`],
  )
  const pipeline = parsePipeline(text)
  const { telemetry } = telemetryForTest()
  const store = openPostgresStore(pipeline, 'worker', accessTo(postgres))
  const sink = openElasticsearchSink(pipeline, {}, telemetry.log)
  await store.open(TOPIC)
  const claim = await store.claim(0, 100)
  await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
  const clock = { now: Date.now, sleep: (ms: number) => sleep(ms) }
  const signal = new AbortController().signal
  const deps = { outbox: store, sink, clock, chance: { next: Math.random }, telemetry, signal }
  expect(await drain(deps, 60_000)).toBe(true)
  await Promise.all([store.close(), sink.close()])
  return text
}

type Removal = { process: ChildProcess; url: string; exited: Promise<number | null>; output(): string }

/** Runs `node processor/main.ts remove --file …`. Resolves once its HTTP port is open. */
async function startRemoval(text: string, env: Record<string, string> = {}): Promise<Removal> {
  const file = join(ownFolder('removal'), 'pipeline.yaml')
  writeFileSync(file, text)
  const child = fork(MAIN, ['remove', '--file', file], {
    env: { ...process.env, ...accessTo(postgres), HTTP_PORT: '0', HTTP_HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', data => (output += data))
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const port = await new Promise<number>((resolve, reject) => {
    child.on('message', ({ type, port }: { type: string; port: number }) => type === 'listening' && resolve(port))
    void exited.then(code => reject(new Error(`the removal exited with ${code}: ${output}`)))
  })
  return { process: child, url: `http://127.0.0.1:${port}`, exited, output: () => output }
}

const messages = ({ output }: Removal) =>
  output()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line).msg as string)

/** Waits until /status shows a condition, and returns it. */
async function condition({ url }: Removal): Promise<string> {
  for (;;) {
    const { conditions } = (await (await fetch(`${url}/status`)).json()) as { conditions: Record<string, string> }
    const [shown] = Object.entries(conditions)
    if (shown) return shown.join(': ')
    await pause(50)
  }
}

async function schemaExists(schema: string): Promise<boolean> {
  const { host, port, user, password } = postgres
  const client = new pg.Client({ host, port, user, password, database: DATABASE })
  await client.connect()
  const { rows } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema])
  await client.end()
  return rows.length > 0
}

const exists = async (path: string) => (await fetch(`${elasticsearch.url}${path}`)).ok
const remaining = async (name: string) => ({
  schema: await schemaExists(name),
  index: await exists(`/${name}`),
  template: await exists(`/_index_template/${name}`),
})
const ALL = { schema: true, index: true, template: true }
const NOTHING = { schema: false, index: false, template: false }

it('removes the data of its pipeline and of no other, and finds nothing in a second run', async () => {
  const [text] = [await stored('removed'), await stored('neighbour')]
  const first = await startRemoval(text)
  expect(await first.exited).toBe(0)
  expect(messages(first)).toEqual([
    'removed index removed',
    'removed index template removed',
    'removed schema removed of database sales',
  ])
  expect(await remaining('removed')).toEqual(NOTHING)
  expect(await remaining('neighbour')).toEqual(ALL)
  const second = await startRemoval(text)
  expect(await second.exited).toBe(0)
  expect(messages(second)).toEqual(['schema removed of database sales does not exist', 'nothing removed'])
})

it('removes nothing if the schema belongs to another pipeline', async () => {
  const text = await stored('owned')
  const other = await startRemoval(text.replace('name: owned, namespace: shop', 'name: owned, namespace: other'))
  expect(await other.exited).toBe(0)
  expect(messages(other)).toEqual([
    'skipped schema owned of database sales: this pipeline did not create it',
    'nothing removed',
  ])
  expect(await remaining('owned')).toEqual(ALL)
})

it('waits while PostgreSQL is down, and continues when it is back', async () => {
  const text = await stored('nopostgres')
  await postgres.kill()
  const removal = await startRemoval(text)
  expect(await condition(removal)).toMatch(/^StoreUnavailable: PostgreSQL error while reading schema nopostgres/)
  expect((await fetch(`${removal.url}/healthz`)).status, 'the process is alive').toBe(200)
  expect(await exists('/nopostgres'), 'the documents').toBe(true)
  await postgres.start()
  expect(await removal.exited).toBe(0)
  expect(await remaining('nopostgres')).toEqual(NOTHING)
})

it('waits while Elasticsearch is down, keeps the rows until then, and continues when it is back', async () => {
  const text = await stored('noelastic')
  await elasticsearch.kill()
  const removal = await startRemoval(text)
  expect(await condition(removal)).toMatch(
    /^StoreUnavailable: Elasticsearch error while reading index noelastic: .*ECONNREFUSED/,
  )
  expect(await schemaExists('noelastic')).toBe(true)
  await elasticsearch.start()
  expect(await removal.exited).toBe(0)
  expect(await remaining('noelastic')).toEqual(NOTHING)
}, 300_000)

it('waits on a wrong password until SIGTERM without logging it, and removes the data in the next run', async () => {
  const text = await stored('refused')
  const refused = await startRemoval(text, { PGPASSWORD: 'not-the-password-8472' })
  expect(await condition(refused)).toMatch(/^StoreUnavailable: AccessDenied: .*password authentication failed/)
  refused.process.kill('SIGTERM')
  expect(await refused.exited).toBe(1)
  expect(refused.output()).not.toContain('8472')
  expect(await remaining('refused')).toEqual(ALL)
  expect(await (await startRemoval(text)).exited).toBe(0)
  expect(await remaining('refused')).toEqual(NOTHING)
})
