/** `producer check` as a separate process with a real ingest, real workers and real stores. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parseDocument } from 'yaml'
import { freePort } from '#local/services/host.ts'
import { Rig, type Worker } from '#test/integrity/rig.ts'
import { ownFolder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'

const MAIN = resolve(import.meta.dirname, '../../../producer/main.ts')
/** A worker starts slowly when many servers share two cores. */
const GREEN_MS = 180_000
/** Timeout for results that never appear. */
const SHORT_TIMEOUT = '8s'

let rig: Rig
let ingest: Worker
beforeAll(async () => {
  rig = await Rig.start('check', { elasticsearch: true })
  ingest = await rig.startIngest()
})
afterAll(() => rig.stop())

/** Returns the pipeline under another name, so that it has its own schema and group. `change` edits its spec. */
function documentOf(
  name: string,
  change: (set: (path: (string | number)[], value: unknown) => void) => void = () => {},
) {
  const document = parseDocument(rig.specText)
  document.setIn(['metadata', 'name'], name)
  change((path, value) => document.setIn(['spec', ...path], value))
  return String(document)
}

type Outcome = { code: number | null; output: string; errors: string }

function startCheck(specText: string, args: string[], env: Record<string, string> = {}) {
  const file = join(ownFolder('check'), 'pipeline.yaml')
  writeFileSync(file, specText)
  const { user, password } = rig.database
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'check', '--file', file, ...args], {
    env: { ...process.env, PGUSER: user, PGPASSWORD: password, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const outcome: Outcome = { code: null, output: '', errors: '' }
  child.stdout!.on('data', chunk => (outcome.output += chunk))
  child.stderr!.on('data', chunk => (outcome.errors += chunk))
  return { child, outcome, done: once(child, 'close').then(([code]): Outcome => ({ ...outcome, code })) }
}

const check = (specText: string, timeout = SHORT_TIMEOUT, env: Record<string, string> = {}, url = ingest.url) =>
  startCheck(specText, ['--url', url, '--timeout', timeout], env).done

async function stop(worker: Worker): Promise<void> {
  worker.process.kill('SIGTERM')
  await worker.exited
}

describe('check with a worker', () => {
  let worker: Worker
  beforeAll(async () => {
    worker = await rig.startWorker()
  })
  afterAll(() => stop(worker))

  it(
    'succeeds, prints what it has read and how long it took, and prints no Secrets',
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
      const { code, output, errors } = await check(specText, '3m', secrets)
      expect(errors + output).not.toContain(password)
      expect(output, errors).toMatch(/table check.sales_summary holds .*revenue 12.34, orders 1.*\(\d+ ms\)/)
      expect(output).toMatch(/table check.sales_by_payment holds .*revenue 12.34/)
      expect(output).toMatch(/index transactions-aggregated holds .*total_revenue 12.34/)
      expect(output).toMatch(/index transactions-by-payment holds /)
      const [, name] = /ok: the sale (check-\S+) reached every sink/.exec(output)!
      expect(code).toBe(0)
      // The rows are as printed.
      const rows = await rig.query(`SELECT revenue::text, orders::int FROM "check".sales_summary
      WHERE category = '${name}'`)
      expect(rows).toEqual([{ revenue: '12.34', orders: 1 }])
    },
    GREEN_MS,
  )

  it(
    'reads the rows of sliding windows and of a window over all time',
    async () => {
      const specText = documentOf('check-windows', set => {
        set(['aggregations', 0, 'window'], { type: 'sliding', size: '1m', slide: '20s' })
        set(['aggregations', 1, 'window'], { type: 'none' })
        set(['sinks', 'elasticsearch', 'projections', 0, 'index'], 'windows-sliding')
        set(['sinks', 'elasticsearch', 'projections', 0, 'template'], 'windows-sliding')
        set(['sinks', 'elasticsearch', 'projections', 1, 'index'], 'windows-none')
      })
      const other = await rig.startWorker(specText)
      const { code, output, errors } = await check(specText, '3m')
      await stop(other)
      expect(output, errors).toMatch(/ok: the sale check-/)
      expect(output.match(/index windows-sliding holds/g)).toHaveLength(3)
      expect(output.match(/index windows-none holds/g)).toHaveLength(1)
      expect(code).toBe(0)
    },
    GREEN_MS,
  )

  it(
    'fails on a row whose values differ from the sale',
    async () => {
      // The trigger makes the worker appear to compute a wrong sum.
      await rig.query(`CREATE FUNCTION "check".twice() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.revenue := NEW.revenue + 0.01; RETURN NEW; END $$`)
      await rig.query(`CREATE TRIGGER twice BEFORE INSERT ON "check".sales_summary
      FOR EACH ROW EXECUTE FUNCTION "check".twice()`)
      const { code, errors } = await check(rig.specText, '3m')
      await rig.query(`DROP TRIGGER twice ON "check".sales_summary`)
      expect(errors).toMatch(
        /row in table check.sales_summary is wrong: revenue: expected 12.34, found 12.35\. Check that the workers use the same SalesPipeline file as --file\. If they do, report this as a bug\n$/,
      )
      expect(code).toBe(1)
    },
    GREEN_MS,
  )

  it(
    'fails on a missing document although its row exists',
    async () => {
      const specText = documentOf('check', set => {
        set(['sinks', 'elasticsearch', 'projections', 1, 'index'], 'elsewhere')
      })
      const { code, output, errors } = await check(specText)
      expect(output, errors).toMatch(/table check.sales_by_payment holds/)
      expect(errors).toMatch(
        /timed out after 8s waiting for the document in index elsewhere: the row is in PostgreSQL.*to index transactions-by-payment/,
      )
      expect(code).toBe(1)
    },
    GREEN_MS,
  )
})

it(
  'reports the reason of a dead letter if the workers cannot read the sale',
  async () => {
    const specText = documentOf('check-dead', set => set(['event', 'fields', 3, 'path'], 'total'))
    const worker = await rig.startWorker(specText)
    const { code, errors } = await check(documentOf('check-dead'), '3m')
    await stop(worker)
    expect(errors).toMatch(
      /stored it as a dead letter: missing_field \(field total\).*same SalesPipeline file as --file\n$/,
    )
    expect(code).toBe(1)
  },
  GREEN_MS,
)

it(
  'reports that no worker runs, whether or not one ran before',
  async () => {
    const never = await check(documentOf('check-never'))
    expect(never.errors).toMatch(
      /timed out after 8s waiting for .*: schema check_never.* does not exist.*Check that workers are running\n$/,
    )
    expect(never.code).toBe(1)
    expect(never.errors).toMatch(/… +\d s: waiting for the row in table check_never.sales_summary: schema check_never/)
    const stopped = await check(documentOf('check'))
    expect(stopped.errors).toMatch(
      /committed offset has not changed since the check began. Check that workers are running\n$/,
    )
    expect(stopped.code).toBe(1)
  },
  GREEN_MS,
)

describe('check with a faulty ingest', () => {
  it('reports an ingest that does not listen', async () => {
    const { code, errors } = await check(rig.specText, '1s', {}, `http://127.0.0.1:${await freePort()}`)
    expect(errors).toMatch(
      /timed out after 1s waiting for the ingest at .*: no response \(connect ECONNREFUSED.*Check that the ingest is ready/,
    )
    expect(code).toBe(1)
  })

  it('reports an ingest that uses another document and refuses the sale', async () => {
    const { code, errors } = await check(documentOf('check', set => set(['event', 'fields', 3, 'path'], 'total')))
    expect(errors).toMatch(/refuses the sale: HTTP 400: .*amount is required.*same SalesPipeline file as --file\n$/)
    expect(code).toBe(1)
  })

  it.each([
    [
      '/readyz',
      503,
      '{"ok":false,"reasons":["Kafka is away"]}',
      /timed out after 1s waiting for the ingest at .*: HTTP 503: Kafka is away/,
    ],
    [
      '/transactions',
      503,
      '{"error":"Kafka: away"}',
      /timed out after 1s waiting for the ingest to accept a sale .*: HTTP 503: Kafka: away/,
    ],
    ['/transactions', 404, '<html>', /refuses the sale: HTTP 404: <html>/],
  ])('reports an ingest whose %s returns %i', async (path, status, body, message) => {
    const server = createServer((request, response) =>
      request.url === path ? response.writeHead(status).end(body) : response.end('{"ok":true}'),
    ).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, errors } = await check(rig.specText, '1s', {}, url)
    expect(errors).toMatch(message)
    expect(code).toBe(1)
  })
})

it('reports wrong credentials and a wrong --url without their secrets', async () => {
  const refused = await check(documentOf('check'), '1s', { PGPASSWORD: 'not-the-one' })
  expect(refused.errors).toMatch(/PostgreSQL at .*: password authentication failed/)
  expect(refused.errors + refused.output).not.toContain('not-the-one')
  const { errors, output, code } = await check(documentOf('check'), '1s', {}, 'http://me:hidden@127.0.0.1:1')
  expect(errors).toMatch(/must not contain a user name or password/)
  expect(errors + output).not.toContain('hidden')
  expect(code).toBe(1)
})

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('exits at once on %s', async (signal, code) => {
  const { child, outcome, done } = startCheck(documentOf('check-never'), ['--url', ingest.url, '--timeout', '10m'])
  await until('it waits for the row', () => /sent sale check-\S+/.test(outcome.output))
  child.kill(signal)
  expect((await done).code).toBe(code)
})

it(
  'names Elasticsearch if it is down although the row exists',
  async () => {
    const worker = await rig.startWorker()
    await rig.servers.elasticsearch!.kill()
    const { code, output, errors } = await check(rig.specText, '30s')
    await stop(worker)
    expect(output, errors).toMatch(/table check.sales_summary holds/)
    expect(errors).toMatch(
      /timed out after 30s waiting for .* index transactions-aggregated: the row is in PostgreSQL, but Elasticsearch at .* does not/,
    )
    expect(code).toBe(1)
  },
  GREEN_MS,
)

it(
  'reports a current sale as late if other sales have times in the future',
  async () => {
    const worker = await rig.startWorker()
    const ahead = new Date(Date.now() + 240_000).toISOString()
    const sales = Array.from({ length: 100 }, (_, i) => ({
      transaction_id: `ahead-${i}`,
      timestamp: ahead,
      category: 'c',
      payment_method: 'p',
      store_id: 's',
      amount: '1.00',
      quantity: 1,
    }))
    const headers = { 'content-type': 'application/json' }
    const url = `${ingest.url}/transactions`
    expect((await fetch(url, { method: 'POST', headers, body: JSON.stringify(sales) })).status).toBe(202)
    const { code, errors } = await check(rig.specText, '3m')
    await stop(worker)
    expect(errors).toMatch(
      /late for sales_summary: events with future times have moved the watermark of partition \d+ past the current time/,
    )
    expect(code).toBe(1)
  },
  GREEN_MS,
)
