/** Runs `processor/main.ts sinks` as a process on real servers, beside a projector or without one. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { schemaNames } from '#pipeline/identity.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { openElasticsearchSink } from '#processor/adapters/elasticsearch/open.ts'
import { openPostgresStore } from '#processor/adapters/postgres/open.ts'
import { runSinks } from '#processor/commands/sinks.ts'
import { runProjector } from '#processor/projector.ts'
import { emptyIndex } from '#test/support/empty-index.ts'
import { ownFolder } from '#test/support/folder.ts'
import { type Database, elasticsearch, postgres, unique } from '#test/support/services.ts'
import { byStore, commitNext, documentOf, T0, TOPIC, totals } from '../store/fixture.ts'
import { telemetryForTest } from '../telemetry/fixture.ts'

const MAIN = resolve(import.meta.dirname, '../../../processor/main.ts')
const STORES = ['a', 'b', 'c']

let url: string
beforeAll(async () => {
  url = (await elasticsearch()).url
})

afterEach(() => vi.unstubAllEnvs())

type Stage = { file: string; database: Database; index: string; text: string; project(): () => Promise<void> }

/** Stores three rows in a database of its own; projects nothing yet. */
async function stage(): Promise<Stage> {
  const database = await (await postgres()).createDatabase()
  const index = unique('rebuilt')
  const text = documentOf(
    [
      '  sinks:\n    elasticsearch:',
      `  sinks:\n    postgres: { host: ${database.host}, port: ${database.port}, database: ${database.database} }\n    elasticsearch:\n      nodes: ["${url}"]`,
    ],
    ['projections: [', `projections: [{ aggregation: totals, index: ${index}-totals }, `],
    ['index: by-store', `index: ${index}`],
  )
  const pipeline = parsePipeline(text)
  const env = accessTo(database)
  const store = openPostgresStore(pipeline, 'worker', env)
  await store.open(TOPIC)
  const aggregates = [
    byStore(...STORES.map((name): [number, string, number] => [T0, name, 1])),
    totals(...STORES.map((name): [string, number] => [name, 1])),
  ]
  await commitNext(store, await store.claim(0, 100), { aggregates })
  await store.close()
  const file = join(ownFolder('rebuild'), 'pipeline.yaml')
  writeFileSync(file, text)
  return { file, database, index, text, project: () => project(text, env) }
}

const accessTo = ({ user, password }: Database) => ({ PGUSER: user, PGPASSWORD: password })

/** Projects as a worker does. Returns a function that stops it. */
function project(text: string, env: NodeJS.ProcessEnv): () => Promise<void> {
  const pipeline = parsePipeline(text)
  const { telemetry } = telemetryForTest()
  const outbox = openPostgresStore(pipeline, 'worker', env)
  const sink = openElasticsearchSink(pipeline, {}, telemetry.log)
  const stop = new AbortController()
  const clock = {
    now: Date.now,
    sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {}),
  }
  // Only the command rebuilds.
  outbox.beginCheck = async () => false
  const deps = { outbox, sink, clock, chance: { next: Math.random }, telemetry, signal: stop.signal }
  const upkeep = async () => {
    for (; !stop.signal.aborted; await clock.sleep(200, stop.signal)) await outbox.advance()
  }
  const running = outbox.open(TOPIC).then(() => Promise.all([runProjector(deps), upkeep()]))
  return async () => {
    stop.abort()
    await running
    await Promise.all([outbox.close(), sink.close()])
  }
}

async function sinks(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [MAIN, 'sinks', ...args], { env: { PATH: process.env.PATH, ...env } })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, output }
}

async function count(index: string): Promise<number> {
  const refreshed = await fetch(`${url}/${index}/_refresh`, { method: 'POST' })
  if (refreshed.status === 404) return 0
  return ((await (await fetch(`${url}/${index}/_count`)).json()) as { count: number }).count
}

async function drained(...indices: string[]): Promise<void> {
  for (const index of indices) while ((await count(index)) < STORES.length) await sleep(200)
}

it('writes every row again with a worker: after the index was deleted, and after documents were deleted', async () => {
  const { file, database, index, project } = await stage()
  const stop = project()
  onTestFinished(stop)
  const totals = `${index}-totals`
  await drained(index, totals)
  await fetch(`${url}/${index}`, { method: 'DELETE' })
  const one = await sinks(['rebuild', '--file', file, '--projection', index], accessTo(database))
  expect(one).toMatchObject({ code: 0, output: expect.stringContaining('the workers have written every row') })
  expect(one.output).toContain(`marking all rows of ${index} …`)
  expect(await count(index)).toBe(STORES.length)

  for (const name of [index, totals]) await emptyIndex(url, name)
  expect([await count(index), await count(totals)]).toEqual([0, 0])
  const all = await sinks(['rebuild', '--file', file], accessTo(database))
  expect(all).toMatchObject({ code: 0 })
  expect([await count(index), await count(totals)]).toEqual([STORES.length, STORES.length])
})

it('fails without a worker and says so; the next worker writes the rows', async () => {
  const { file, database, index, project } = await stage()
  const stop = project()
  await drained(index)
  await stop()
  await fetch(`${url}/${index}`, { method: 'DELETE' })
  const { code, output } = await sinks(['rebuild', '--file', file, '--projection', index], accessTo(database))
  expect(code).toBe(1)
  expect(output).toContain(`${index}: 0 of 3 rows written`)
  expect(output).toContain('No worker of this pipeline is connected')
  onTestFinished(project())
  await drained(index)
})

it('refuses a file that is not that of the workers, and names what differs', async () => {
  const { file, database, index, text } = await stage()
  for (const [name, value] of Object.entries(accessTo(database))) vi.stubEnv(name, value)
  const changed = (from: string, to: string) => {
    expect(text).toContain(from)
    writeFileSync(file, text.replace(from, to))
    return runSinks(['rebuild', '--file', file])
  }
  await expect(changed(`index: ${index},`, 'index: elsewhere,')).rejects.toThrow(
    `the file projects aggregation by_store into index elsewhere, but the workers project it into index ${index}.`,
  )
  await expect(changed('aggregation: totals, index: ', 'aggregation: by_kind, index: ')).rejects.toThrow(
    'but the workers project it into no index',
  )
  await expect(changed('namespace: shop', 'namespace: other')).rejects.toThrow(
    /schema other_sales_[\da-f]{8} of .* has no tables/,
  )
  const { name } = schemaNames(parsePipeline(text))
  const sameSchema = `database: ${database.database}, schema: ${name} }`
  writeFileSync(
    file,
    text.replace('namespace: shop', 'namespace: other').replace(`database: ${database.database} }`, sameSchema),
  )
  await expect(runSinks(['rebuild', '--file', file])).rejects.toThrow(
    /schema shop_sales_\w+ of .* belongs to pipeline shop\/sales, not to other\/sales/,
  )
})

it('refuses a wrong command line', async () => {
  const { file } = await stage()
  await expect(runSinks([])).rejects.toThrow('No command given. Use rebuild.')
  await expect(runSinks(['rebuild'])).rejects.toThrow('file')
  await expect(runSinks(['rebuild', '--file', file, '--projection', 'sales'])).rejects.toThrow(
    `--projection sales: no projection of ${file} has this index`,
  )
})

it('explains itself, and shows no password when PostgreSQL denies access', async () => {
  const { file, database } = await stage()
  expect(await sinks(['rebuild', '--help'])).toMatchObject({ code: 0, output: expect.stringContaining('--projection') })
  const denied = await sinks(['rebuild', '--file', file], {
    ...accessTo(database),
    PGPASSWORD: 'not-the-password-8472',
  })
  expect(denied).toMatchObject({ code: 1, output: expect.stringContaining('passwordSecretRef') })
  expect(denied.output).not.toContain('8472')
})
