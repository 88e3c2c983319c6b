/** `producer check` as a process of its own, between a real ingest, real workers and real stores. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parseDocument } from 'yaml'
import { freePort } from '#local/services/host.ts'
import { Rig, type Worker } from '#test/integrity/rig.ts'
import { ownFolder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'

const MAIN = resolve(import.meta.dirname, '../../../producer/main.ts')
/** A worker that starts, and servers that share two cores with others, take their time. */
const GREEN_MS = 180_000
/** Of what never comes. */
const IN_VAIN = '8s'

let rig: Rig
let ingest: Worker
beforeAll(async () => {
  rig = await Rig.start('check', { elasticsearch: true })
  ingest = await rig.startIngest()
})
afterAll(() => rig.stop())

/** The pipeline under another name, so that it has a schema and a group of its own; `change` sees its spec. */
function documentOf(
  name: string,
  change: (set: (path: (string | number)[], value: unknown) => void) => void = () => {},
) {
  const document = parseDocument(rig.specText)
  document.setIn(['metadata', 'name'], name)
  change((path, value) => document.setIn(['spec', ...path], value))
  return String(document)
}

type Ended = { code: number | null; said: string; errors: string }

function startCheck(specText: string, args: string[], env: Record<string, string> = {}) {
  const file = join(ownFolder('check'), 'pipeline.yaml')
  writeFileSync(file, specText)
  const { user, password } = rig.database
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'check', '--file', file, ...args], {
    env: { ...process.env, PGUSER: user, PGPASSWORD: password, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended: Ended = { code: null, said: '', errors: '' }
  child.stdout!.on('data', chunk => (ended.said += chunk))
  child.stderr!.on('data', chunk => (ended.errors += chunk))
  return { child, ended, done: once(child, 'close').then(([code]): Ended => ({ ...ended, code })) }
}

const check = (specText: string, timeout = IN_VAIN, env: Record<string, string> = {}, url = ingest.url) =>
  startCheck(specText, ['--url', url, '--timeout', timeout], env).done

async function stop(worker: Worker): Promise<void> {
  worker.process.kill('SIGTERM')
  await worker.exited
}

describe('with a worker', () => {
  let worker: Worker
  beforeAll(async () => {
    worker = await rig.startWorker()
  })
  afterAll(() => stop(worker))

  test(
    'is green, says what it has read and how long it took, and keeps Secrets to itself',
    async () => {
      const { user, password } = rig.database
      const specText = documentOf('check', set => {
        set(['sinks', 'postgres', 'usernameSecretRef'], { name: 'postgres', key: 'username' })
        set(['sinks', 'postgres', 'passwordSecretRef'], { name: 'postgres', key: 'password' })
      })
      const secrets = {
        SECRET_POSTGRES_USERNAME: user,
        SECRET_POSTGRES_PASSWORD: password,
        PGUSER: 'x',
        PGPASSWORD: 'x',
      }
      const { code, said, errors } = await check(specText, '3m', secrets)
      expect(errors + said).not.toContain(password)
      expect(said, errors).toMatch(/table check.sales_summary holds .*revenue 12.34, orders 1.*\(\d+ ms\)/)
      expect(said).toMatch(/table check.sales_by_payment holds .*revenue 12.34/)
      expect(said).toMatch(/index transactions-aggregated holds .*total_revenue 12.34/)
      expect(said).toMatch(/index transactions-by-payment holds /)
      const [, name] = /ok: (check-\S+) came through/.exec(said)!
      expect(code).toBe(0)
      // What it says is so.
      const rows = await rig.query(`SELECT revenue::text, orders::int FROM "check".sales_summary
      WHERE category = '${name}'`)
      expect(rows).toEqual([{ revenue: '12.34', orders: 1 }])
    },
    GREEN_MS,
  )

  test(
    'takes the rows of sliding windows, and of a window over all time, for what they are',
    async () => {
      const specText = documentOf('check-windows', set => {
        set(['aggregations', 0, 'window'], { type: 'sliding', size: '1m', slide: '20s' })
        set(['aggregations', 1, 'window'], { type: 'none' })
        set(['sinks', 'elasticsearch', 'projections', 0, 'index'], 'windows-sliding')
        set(['sinks', 'elasticsearch', 'projections', 1, 'index'], 'windows-none')
      })
      const other = await rig.startWorker(specText)
      const { code, said, errors } = await check(specText, '3m')
      await stop(other)
      expect(said, errors).toMatch(/ok: check-/)
      expect(said.match(/index windows-sliding holds/g)).toHaveLength(3)
      expect(said.match(/index windows-none holds/g)).toHaveLength(1)
      expect(code).toBe(0)
    },
    GREEN_MS,
  )

  test(
    'a row that holds anything but what was sent is at fault',
    async () => {
      // A worker that counts everything twice, as far as a row can tell.
      await rig.query(`CREATE FUNCTION "check".twice() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.revenue := NEW.revenue + 0.01; RETURN NEW; END $$`)
      await rig.query(`CREATE TRIGGER twice BEFORE INSERT ON "check".sales_summary
      FOR EACH ROW EXECUTE FUNCTION "check".twice()`)
      const { code, errors } = await check(rig.specText, '3m')
      await rig.query(`DROP TRIGGER twice ON "check".sales_summary`)
      expect(errors).toMatch(/row in table check.sales_summary is wrong: revenue is 12.35, not 12.34\n$/)
      expect(code).toBe(1)
    },
    GREEN_MS,
  )

  test(
    'a document that is not projected is at fault, though its row is there',
    async () => {
      const specText = documentOf('check', set => {
        set(['sinks', 'elasticsearch', 'projections', 1, 'index'], 'elsewhere')
      })
      const { code, said, errors } = await check(specText)
      expect(said, errors).toMatch(/table check.sales_by_payment holds/)
      expect(errors).toMatch(
        /document in index elsewhere: not within 8s: the row is there.*into transactions-by-payment/,
      )
      expect(code).toBe(1)
    },
    GREEN_MS,
  )
})

test(
  'a sale that the workers cannot read is a dead letter, with its reason',
  async () => {
    const specText = documentOf('check-dead', set => set(['event', 'fields', 3, 'path'], 'total'))
    const worker = await rig.startWorker(specText)
    const { code, errors } = await check(documentOf('check-dead'), '3m')
    await stop(worker)
    expect(errors).toMatch(/the sale is a dead letter: missing_field \(field amount\).*same document as --file\?\n$/)
    expect(code).toBe(1)
  },
  GREEN_MS,
)

test(
  'without a worker it says so: none was ever there, or none is any more',
  async () => {
    const never = await check(documentOf('check-never'))
    expect(never.errors).toMatch(/not within 8s: there is no schema check_never.*Do the workers run\?\n$/)
    expect(never.code).toBe(1)
    expect(never.errors).toMatch(/… +\d s: the row in table check_never.sales_summary: there is no schema/)
    const gone = await check(documentOf('check'))
    expect(gone.errors).toMatch(/progress has not moved since. Do the workers run\?\n$/)
    expect(gone.code).toBe(1)
  },
  GREEN_MS,
)

describe('the ingest', () => {
  test('does not listen', async () => {
    const { code, errors } = await check(rig.specText, '1s', {}, `http://127.0.0.1:${await freePort()}`)
    expect(errors).toMatch(
      /the ingest at .* is ready: not within 1s: no answer \(connect ECONNREFUSED.*is the pod of the ingest ready/,
    )
    expect(code).toBe(1)
  })

  test('reads another document, and refuses the sale', async () => {
    const { code, errors } = await check(documentOf('check', set => set(['event', 'fields', 3, 'path'], 'total')))
    expect(errors).toMatch(/refuses the sale: it answers 400: .*amount is needed.*same document as --file\?\n$/)
    expect(code).toBe(1)
  })

  test.each([
    [
      '/readyz',
      503,
      '{"ok":false,"reasons":["Kafka is away"]}',
      /is ready: not within 1s: it answers 503: Kafka is away/,
    ],
    ['/transactions', 503, '{"error":"Kafka: away"}', /takes a sale .*: not within 1s: it answers 503: Kafka: away/],
    ['/transactions', 404, '<html>', /refuses the sale: it answers 404: <html>/],
  ])('answers %s with %i', async (path, status, body, words) => {
    const server = createServer((request, response) =>
      request.url === path ? response.writeHead(status).end(body) : response.end('{"ok":true}'),
    ).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, errors } = await check(rig.specText, '1s', {}, url)
    expect(errors).toMatch(words)
    expect(code).toBe(1)
  })
})

test('wrong credentials and a wrong --url are told without what is secret in them', async () => {
  const refused = await check(documentOf('check'), '1s', { PGPASSWORD: 'not-the-one' })
  expect(refused.errors).toMatch(/PostgreSQL at .*: password authentication failed/)
  expect(refused.errors + refused.said).not.toContain('not-the-one')
  const { errors, said, code } = await check(documentOf('check'), '1s', {}, 'http://me:hidden@127.0.0.1:1')
  expect(errors).toMatch(/may hold no password/)
  expect(errors + said).not.toContain('hidden')
  expect(code).toBe(1)
})

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s ends it at once', async (signal, code) => {
  const { child, ended, done } = startCheck(documentOf('check-never'), ['--url', ingest.url, '--timeout', '10m'])
  await until('it waits for the row', () => /sale check-\S+ is sent/.test(ended.said))
  child.kill(signal)
  expect((await done).code).toBe(code)
})

test(
  'Elasticsearch is away: the row is there, and the sink is named',
  async () => {
    const worker = await rig.startWorker()
    await rig.servers.elasticsearch!.kill()
    const { code, said, errors } = await check(rig.specText, '30s')
    await stop(worker)
    expect(said, errors).toMatch(/table check.sales_summary holds/)
    expect(errors).toMatch(
      /index transactions-aggregated: not within 30s: the row is there, but Elasticsearch at .* does not/,
    )
    expect(code).toBe(1)
  },
  GREEN_MS,
)

test(
  'a sale of now is late where others come from the future',
  async () => {
    const worker = await rig.startWorker()
    const ahead = new Date(Date.now() + 240_000).toISOString()
    const sales = Array.from({ length: 100 }, (_, i) => ({
      ...{ transaction_id: `ahead-${i}`, timestamp: ahead, category: 'c', payment_method: 'p', store_id: 's' },
      ...{ amount: '1.00', quantity: 1 },
    }))
    const headers = { 'content-type': 'application/json' }
    const url = `${ingest.url}/transactions`
    expect((await fetch(url, { method: 'POST', headers, body: JSON.stringify(sales) })).status).toBe(202)
    const { code, errors } = await check(rig.specText, '3m')
    await stop(worker)
    expect(errors).toMatch(/too late for sales_summary, though its time is now: .*the watermark of partition \d/)
    expect(code).toBe(1)
  },
  GREEN_MS,
)
