/** The whole verifier on real servers, over hand-written tables: correct ones pass, and every fault is reported. */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { elasticsearch, kafka, postgres, unique } from '#test/support/services.ts'
import { recordHash } from '#verify/journal.ts'
import { readDocument } from '#verify/spec.ts'
import { renderVerdict, type Verdict, type VerifyOptions, verify } from '#verify/verify.ts'
import { append, fillTables, fillTopic, KEY, LOG, SPEC, sale } from './shop.ts'

const topic = unique('shop')
const specText = SPEC.replaceAll('TOPIC', topic)
let options: VerifyOptions
let client: Client
let folder: string

beforeAll(async () => {
  const [{ bootstrap }, { createDatabase }] = await Promise.all([kafka(), postgres()])
  const address = await createDatabase()
  options = { specText, bootstrap, postgres: address }
  client = new Client(address)
  await client.connect()
  await fillTopic(bootstrap, topic)
  folder = await mkdtemp(join(tmpdir(), 'verify-'))
})

beforeEach(() => fillTables(client, topic, readDocument(specText)))

afterAll(async () => {
  await client.end()
  await rm(folder, { recursive: true })
})

/** Resolves with the verdict after some SQL changed the correct tables. */
async function tampered(sql: string, more: Partial<VerifyOptions> = {}): Promise<Verdict> {
  await client.query(sql)
  return verify({ ...options, ...more })
}

describe('verify with correct tables', () => {
  it('passes correct tables, without aborted transactions and control records', async () => {
    const verdict = await verify(options)
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({
      ok: true,
      records: 8,
      aggregated: 5,
      late: 1,
      latePerAggregation: { summary: { late: 1, partly: 0 } },
      deadLettered: 1,
      duplicates: 1,
      storeRejected: 0,
      lost: 0,
      doubled: 0,
      rows: { compared: 9, missing: 0, extra: 0, unequal: 0 },
      finalWindows: 1,
      delayMs: null,
    })
    expect(renderVerdict(verdict)).toContain('OK: the tables match the topic exactly')
    expect(renderVerdict(verdict)).toMatch(/^ {2}late for summary +1 entirely, 0 partly$/m)
  })

  it('passes tables without the rows that retention removed', async () => {
    const retained = specText.replace('- name: summary', '- name: summary\n      retention: 60s')
    const remove = `update pipeline set watermark = 120000; delete from summary where category = 'books';
      update specs set document = jsonb_set(document, '{spec,aggregations,0,retention}', '"60s"')`
    expect(await tampered(remove, { specText: retained })).toMatchObject({ ok: true, rows: { missing: 0 } })
    const early = await tampered('update pipeline set watermark = 119999', { specText: retained })
    expect(early).toMatchObject({ ok: false, rows: { missing: 1 } })
  })
})

describe('verify with a measure that loses decimals (section 7)', () => {
  const rounded = { specText: specText.replace('op: average, of: amount', 'op: average, of: amount, scale: 1') }
  /** Toys: 1.00 + 2.25 is 3.25, or 3.2 if 2.25 is rounded to 2.2 first. Both give the average 1.6. */
  const means = (toys: string) => `
    update summary set mean = 4.2 where category = 'books';
    update summary set mean = 1.6, mean_sum = ${toys} where category = 'toys';
    update specs set document = jsonb_set(document, '{spec,aggregations,0,measures,2,scale}', '1');`
  const knowsRoundEach =
    "update specs set document = jsonb_set(document, '{spec,aggregations,0,measures,2,roundEach}', 'false')"

  it('expects exact sums in a table that this release created', async () => {
    const verdict = await tampered(means('3.25') + knowsRoundEach, rounded)
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { unequal: 0 } })
    expect(await tampered(means('3.2') + knowsRoundEach, rounded)).toMatchObject({ ok: false, rows: { unequal: 1 } })
  })

  it('expects rounded amounts in a table whose first document has no roundEach, as release 0.3.0 stored it', async () => {
    const verdict = await tampered(means('3.2'), rounded)
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { unequal: 0 } })
    expect(await tampered(means('3.25'), rounded)).toMatchObject({ ok: false, rows: { unequal: 1 } })
  })

  it('keeps that rule under a later document', async () => {
    const upgraded = `
      insert into specs select 2, jsonb_set(document, '{spec,aggregations,0,measures,2,roundEach}', 'true'), 'j' from specs;
      insert into spec_history values (0, 3, 2);`
    const verdict = await tampered(means('3.2') + upgraded, rounded)
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, rows: { unequal: 0 } })
  })

  it('reports a table that rounds each event although the given spec rounds once', async () => {
    const each = knowsRoundEach.replace("'false'", "'true'")
    const { ok, problems } = await tampered(means('3.2') + each, rounded)
    expect(ok).toBe(false)
    expect(problems).toContain(
      'the given spec differs from generation 1 in table specs; pass the file that the workers use, and use the verifier of their release',
    )
  })
})

describe('verify with faulty rows', () => {
  it.each<[string, string, object, RegExp]>([
    [
      'a wrong amount',
      `update summary set revenue = 12.51 where category = 'books'`,
      { lost: 0, doubled: 0, rows: { unequal: 1 } },
      /unequal window_start=1970-01-01T00:00:00.000Z category=books: revenue expected 12.5, found 12.51/,
    ],
    [
      'an average rounded half-up',
      `update summary set mean = 1.63 where category = 'toys'`,
      { rows: { unequal: 1 } },
      /mean expected 1.62, found 1.63/,
    ],
    [
      'a lost sale',
      `update summary set orders = 2, mean_count = 2, revenue = 2.5, mean_sum = 2.5, mean = 1.25 where category = 'books'`,
      { lost: 1, doubled: 0, rows: { unequal: 1 } },
      /orders expected 3, found 2/,
    ],
    [
      'a doubled sale',
      `update summary set orders = 4 where category = 'books'`,
      { lost: 0, doubled: 1, rows: { unequal: 1 } },
      /orders expected 3, found 4/,
    ],
    [
      'a missing row',
      `delete from summary where category = 'books'`,
      { lost: 3, doubled: 0, rows: { missing: 1 } },
      /missing window_start=1970-01-01T00:00:00.000Z category=books: expected .*revenue=12.5/,
    ],
    [
      'a row too many',
      `insert into summary select window_start, window_end, 'x', 1, 7, 1, 1, 1, 1, false, 0 from summary limit 1`,
      { lost: 0, doubled: 7, rows: { extra: 1 } },
      /extra .*category=x/,
    ],
    [
      'a wrong end of a window',
      `update summary set window_end = window_end + interval '1 ms' where category = 'toys'`,
      { rows: { unequal: 1 } },
      /window_end expected 1970-01-01T00:03:00.000Z, found 1970-01-01T00:03:00.001Z/,
    ],
    ['a missing raw row', 'delete from sales where record_offset = 8', { rows: { missing: 1 } }, /sales: missing/],
    [
      'a raw row of an aborted transaction',
      `insert into sales values (0, 6, 0, to_timestamp(130), 'toys', 1000)`,
      { rows: { extra: 1 } },
      /sales: extra partition=0 record_offset=6 line=0/,
    ],
    [
      'a late event marked as partly late',
      'update late_events set entirely = false',
      { rows: { unequal: 1 } },
      /entirely expected true, found false/,
    ],
    ['a missing late event', 'delete from late_events', { rows: { missing: 1 } }, /late_events: missing/],
    [
      'a doubled late event',
      'insert into late_events select * from late_events',
      { rows: { extra: 1 } },
      /late_events: extra/,
    ],
    [
      'a dead letter for another reason',
      `update dead_letters set reason = 'wrong_type', field = 'amount'`,
      { rows: { unequal: 1 } },
      /reason expected not_json, found wrong_type; field expected null, found amount/,
    ],
    ['changed bytes', `update dead_letters set payload = 'x'`, { rows: { unequal: 1 } }, /payload expected/],
    ['a dead letter without bytes', 'update dead_letters set payload = null', { rows: { unequal: 1 } }, /found null/],
  ])('reports %s', async (_, sql, expected, message) => {
    const verdict = await tampered(sql)
    expect(verdict).toMatchObject({ ok: false, ...expected })
    expect(renderVerdict(verdict)).toMatch(message)
  })
})

describe('verify with faulty bookkeeping', () => {
  it.each<[string, string, string]>([
    [
      'a log that is not drained',
      'update progress set next_offset = 9, skipped = 2 where partition = 0',
      'partition 0: committed up to offset 9, but the topic ended at offset 10: the pipeline has not read all records; wait and verify again, or pass --running',
    ],
    [
      'a partition that was never claimed',
      'update progress set first_offset = null where partition = 1',
      'no worker has read partition 1 yet, but it has records up to offset',
    ],
    ['missing progress', 'delete from progress where partition = 1', 'the table progress has no row for partition 1'],
    [
      'counters that do not add up',
      'update progress set skipped = 4 where partition = 0',
      'table progress, partition 0: records + skipped is 11, but next_offset - first_offset is 10. This is a bug',
    ],
    [
      'a wrong counter',
      'update progress set duplicate = 2, accepted = 4 where partition = 0',
      'partition 0: duplicate: expected 1, found 2',
    ],
    [
      'a wrong maximum event time',
      'update progress set max_event_time = 1 where partition = 1',
      'partition 1: max_event_time: expected 5000, found 1',
    ],
    [
      'sources that no setting asks for',
      'update progress set agreed_time = 1 where partition = 1',
      'partition 1: agreed_time: expected null, found 1',
    ],
    [
      'wrong counters of an aggregation',
      'update progress_aggregations set late = 0, on_time = 5 where partition = 0',
      'partition 0, summary: late: expected 1, found 0',
    ],
    [
      'missing counters of an aggregation',
      'delete from progress_aggregations where partition = 1',
      'the table progress_aggregations has no row for partition 1, aggregation summary',
    ],
    [
      'a row final too early',
      'update summary set final = true',
      'summary: 1 rows are marked final, but the pipeline watermark has not passed',
    ],
    [
      'a different spec',
      `update specs set document = jsonb_set(document, '{spec,window,size}', '"30s"')`,
      'the given spec differs from generation 1 in table specs; pass the file that the workers use, and use the verifier of their release',
    ],
    ['a redrive', 'update dead_letters set redriven_at = now()', '1 dead letters were sent to the pipeline again'],
  ])('reports %s', async (_, sql, problem) => {
    const verdict = await tampered(sql)
    expect(verdict.ok).toBe(false)
    expect(verdict.problems.join('\n')).toContain(problem)
  })
})

describe('a schema', () => {
  it('refuses a schema if it belongs to another pipeline, or to none', async () => {
    await expect(tampered(`update pipeline set owner = 'default/other'`)).rejects.toThrow(
      'schema corner_shop belongs to pipeline default/other (id 42), not to default/corner-shop; ',
    )
    await expect(tampered('drop table pipeline')).rejects.toThrow('schema corner_shop has no tables of a pipeline; ')
  })

  it('finds a schema under the name that release 0.3.0 gave it, if its mark names the pipeline', async () => {
    const specText = options.specText.replace('name: corner-shop', 'name: shop, namespace: corner')
    await expect(verify({ ...options, specText })).rejects.toThrow(/^schema corner_shop_\w{8} has no tables/)
    const verdict = await tampered(`update pipeline set owner = 'corner/shop'`, { specText })
    expect(verdict.problems).toEqual([])
    expect(verdict.ok).toBe(true)
  })
})

describe('spec history', () => {
  it('accepts final rows that an earlier, shorter lateness closed', async () => {
    const patient = specText.replace('window: { size: 60s }', 'window: { size: 60s }\n  allowedLateness: 1h')
    await client.query('insert into specs values (2, $1, $2)', [JSON.stringify(readDocument(patient)), 'i'])
    expect(await tampered('select', { specText: patient })).toMatchObject({ ok: true, finalWindows: 1 })
  })

  it('verifies each part of a partition under its generation of the spec', async () => {
    const patient = specText.replace('window: { size: 60s }', 'window: { size: 60s }\n  allowedLateness: 1h')
    await client.query('insert into specs values (2, $1, $2)', [JSON.stringify(readDocument(patient)), 'i'])
    // The late sale is at offset 4: it is late under generation 1 and would not be under generation 2.
    const stillLate = await tampered('insert into spec_history values (0, 5, 2)', { specText: patient })
    expect(stillLate).toMatchObject({ late: 1, lost: 0, rows: { missing: 0, extra: 0, unequal: 0 } })
    const accepted = await tampered('update spec_history set from_offset = 4 where generation = 2', {
      specText: patient,
    })
    expect(accepted).toMatchObject({ ok: false, late: 0, lost: 1 })
  })

  it('starts at the offset where the pipeline started', async () => {
    const verdict = await tampered(`
      update progress set first_offset = 9, records = 0, skipped = 1, dead = 0, duplicate = 0, accepted = 0,
        max_event_time = null where partition = 0;
      delete from summary; delete from sales where partition = 0; delete from late_events; delete from dead_letters;
      delete from progress_aggregations where partition = 0;
      insert into summary values (to_timestamp(0), to_timestamp(60), 'books', -3, 1, -3, 1, -3, 1, false, 0)`)
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, records: 1, rows: { compared: 2 } })
  })
})

describe('the journal', () => {
  /** Writes the lines as a journal and resolves with its folder. */
  async function journalDir(lines: unknown[]): Promise<string> {
    const dir = await mkdtemp(join(folder, 'journal-'))
    await writeFile(join(dir, '1-1.jsonl'), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
    return dir
  }
  const hashes = LOG.map(([, , value]) => recordHash(KEY, value))
  const acknowledged = LOG.map(([partition, offset], index) => ['a', 0, partition, offset, [index]])

  it('passes a journal that matches the log', async () => {
    const verdict = await verify({ ...options, journalDir: await journalDir([['s', 0, hashes], ...acknowledged]) })
    expect(verdict).toMatchObject({ ok: true, sent: 8, acknowledged: 8, lostFromLog: 0, foreign: 0 })
  })

  it('reports an acknowledged record that is missing from the log', async () => {
    const dir = await journalDir([['s', 0, [...hashes, '00000000000000ff']], ...acknowledged, ['a', 0, 1, 1, [8]]])
    const verdict = await verify({ ...options, journalDir: dir })
    expect(verdict).toMatchObject({ ok: false, lostFromLog: 1, lost: 1, rows: { missing: 0 } })
    expect(verdict.problems).toEqual([
      'lost: Kafka acknowledged record 00000000000000ff at partition/offset 1/1, but the topic does not have this record at that offset. Check retention and unclean leader election',
    ])
  })

  it('reports a record that is in no journal', async () => {
    const dir = await journalDir([['s', 0, hashes.slice(0, 7)], ...acknowledged.slice(0, 7)])
    const verdict = await verify({ ...options, journalDir: dir })
    expect(verdict).toMatchObject({ ok: false, lostFromLog: 0, foreign: 1 })
    expect(verdict.problems[0]).toContain('foreign record at partition/offset 1/0')
  })
})

it('measures the delay from commit logs', async () => {
  const path = join(folder, 'commits.jsonl')
  const partitions = [
    [0, 0, 10],
    [1, 0, 3],
  ]
  await writeFile(path, `${JSON.stringify({ at: 1_000_250, worker: 'w', partitions })}\n`)
  const { delayMs } = await verify({ ...options, commitLogs: [path] })
  expect(delayMs).toEqual({ p50: 250, p90: 250, p99: 250, max: 250, samples: 8, neverCommitted: 0 })
})

const run = (...more: string[]) => runWith({}, ...more)

async function runWith(environment: Record<string, string>, ...more: string[]) {
  const file = join(folder, 'pipeline.yaml')
  await writeFile(file, specText)
  const { host, port, user, password, database } = options.postgres
  const where = ['--bootstrap', options.bootstrap, '--pg-host', host, '--pg-port', String(port)]
  const args = ['verify/main.ts', file, ...where, '--pg-database', database, ...more]
  const env = { ...process.env, PGUSER: user, PGPASSWORD: password, ...environment }
  return new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
    const child = execFile(process.execPath, args, { env }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode!, stdout, stderr })
    })
  })
}

/** Starts a proxy to Elasticsearch with HTTPS, a self-signed certificate and a password, as in a cluster. */
async function securedElasticsearch(url: string) {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost']
  execFileSync('openssl', [...args, '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, async (request, response) => {
    const isAuthorized = request.headers.authorization === `Basic ${Buffer.from('reader:secret').toString('base64')}`
    if (!isAuthorized) return void response.writeHead(401).end()
    const body = Buffer.concat(await request.toArray())
    const headers = { 'content-type': 'application/json' }
    const forwarded = await fetch(new URL(request.url!, url), {
      method: request.method!,
      ...(body.length > 0 && { headers, body }),
    })
    response.writeHead(forwarded.status, headers).end(await forwarded.text())
  })
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  return { url: `https://localhost:${(server.address() as AddressInfo).port}`, cert, close: () => server.close() }
}

describe('a projection', () => {
  let url: string
  beforeAll(async () => {
    url = (await elasticsearch()).url
  })
  beforeEach(async () => {
    await fetch(`${url}/${topic}`, { method: 'DELETE' })
    await create({ salesPipeline: 'default/corner-shop/42' })
    await index(['summary', '1970-01-01T00:00:00.000Z', 'books'], 1001, BOOKS)
    await index(['summary', '1970-01-01T00:02:00.000Z', 'toys'], 1002, TOYS)
  })

  const BOOKS = {
    '@timestamp': '1970-01-01T00:00:00Z',
    window_end: '1970-01-01T00:01:00.000Z',
    category: 'books',
    revenue: '12.50',
    orders: 3,
    mean_sum: '12.50',
    mean_count: 3,
    mean: '4.17',
    final: true,
  }

  const TOYS = {
    '@timestamp': '1970-01-01T00:02:00.000Z',
    window_end: '1970-01-01T00:03:00.000Z',
    category: 'toys',
    revenue: '3.25',
    orders: 2,
    mean_sum: '3.25',
    mean_count: 2,
    mean: '1.62',
    final: false,
  }

  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const OWNER = `${sha256('default/corner-shop/42').slice(0, 32)}-`

  async function create(_meta: object): Promise<void> {
    const response = await fetch(`${url}/${topic}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ mappings: { _meta } }),
    })
    expect(response.status).toBe(200)
  }

  async function index(key: string[], version: number, document: object, owner = OWNER): Promise<void> {
    const id = owner + sha256(JSON.stringify(key))
    const response = await fetch(`${url}/${topic}/_doc/${id}?version=${version}&version_type=external`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(document),
    })
    expect(response.status).toBeLessThan(300)
  }

  const table = (verdict: Verdict) => verdict.perTable[`elasticsearch/${topic}`]

  it('passes a projection that shows every row', async () => {
    const verdict = await verify({ ...options, elasticsearch: { url } })
    expect(verdict.problems).toEqual([])
    expect(verdict.ok).toBe(true)
    expect(table(verdict)).toMatchObject({ compared: 2, missing: 0, extra: 0, unequal: 0 })
  })

  it.each<[string, () => Promise<unknown>, object, RegExp]>([
    [
      'a wrong value',
      () => index(['summary', '1970-01-01T00:02:00.000Z', 'toys'], 1003, { ...TOYS, revenue: '3.26' }),
      { unequal: 1 },
      /_version expected 1002, found 1003; revenue expected 3.25, found 3.26/,
    ],
    [
      'an extra document',
      () => index(['summary', '1970-01-01T00:02:00.000Z', 'toy'], 1, { ...TOYS, category: 'toy' }),
      { extra: 1 },
      /extra _id=.* category=toy/,
    ],
    ['a missing index', () => fetch(`${url}/${topic}`, { method: 'DELETE' }), { missing: 2 }, /missing _id=/],
  ])('reports a projection with %s', async (_, spoil, expected, message) => {
    await spoil()
    const verdict = await verify({ ...options, elasticsearch: { url } })
    expect(verdict.ok).toBe(false)
    expect(table(verdict)).toMatchObject(expected)
    expect(renderVerdict(verdict)).toMatch(message)
  })

  it('ignores documents of others in an index that the pipeline did not create, except those with a former id', async () => {
    await fetch(`${url}/${topic}`, { method: 'DELETE' })
    await create({})
    await index(['summary', '1970-01-01T00:00:00.000Z', 'books'], 1001, BOOKS)
    await index(['summary', '1970-01-01T00:02:00.000Z', 'toys'], 1002, TOYS)
    await index(['summary', '1970-01-01T00:02:00.000Z', 'toys'], 1, TOYS, `${'0'.repeat(32)}-`)
    const refused = await verify({ ...options, elasticsearch: { url } })
    expect(refused.problems).toEqual([
      expect.stringContaining(`index ${topic} does not have the mark of default/corner-shop/42`),
    ])
    const inherit = `update aggregations set inherited = '${topic}'`
    const verdict = await tampered(inherit, { elasticsearch: { url } })
    expect(verdict.problems).toEqual([])
    expect(table(verdict)).toMatchObject({ compared: 2, missing: 0, extra: 0 })
    await index(['summary', '1970-01-01T00:02:00.000Z', 'toys'], 1002, TOYS, '')
    expect(table(await tampered(inherit, { elasticsearch: { url } }))).toMatchObject({ missing: 0, extra: 1 })
  })

  it('compares documents behind TLS and a password, trusting the CA certificates in CA_FILES', async () => {
    const { url, cert, close } = await securedElasticsearch((await elasticsearch()).url)
    const credentials = { ELASTIC_USER: 'reader', ELASTIC_PASSWORD: 'secret' }
    const args = ['--json', '--elasticsearch', url]
    const { stdout, stderr } = await runWith({ ...credentials, CA_FILES: cert }, ...args)
    expect(stderr).not.toContain('cannot compare the tables with the topic')
    expect(JSON.parse(stdout).perTable[`elasticsearch/${topic}`].compared).toBe(2)
    expect((await runWith(credentials, ...args)).stderr).toMatch(/self-signed certificate/)
    const wrong = { ...credentials, ELASTIC_PASSWORD: 'guess', CA_FILES: cert }
    expect((await runWith(wrong, ...args)).stderr).toMatch(/Elasticsearch returned 401/)
    close()
  })

  it('reports rows that are not projected yet or were rejected', async () => {
    const verdict = await tampered(`insert into outbox values (1); insert into projection_errors values ('x')`, {
      elasticsearch: { url },
    })
    expect(verdict.problems).toHaveLength(2)
  })
})

it('reports a row whose mark for partial windows is wrong', async () => {
  const { ok, problems } = await tampered(`update summary set partial = true where category = 'toys'`)
  expect({ ok, problems }).toEqual({
    ok: false,
    problems: [expect.stringMatching(/^summary: the mark for partial windows is wrong in 1 rows/)],
  })
})

describe('the command', () => {
  it('prints the verdict and exits with 0 when the tables are correct', async () => {
    const { code, stdout } = await run('--json')
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, rows: { compared: 9 } })
    expect(code).toBe(0)
  })

  it('exits with 1 when the tables are wrong', async () => {
    await client.query('delete from sales')
    const { code, stdout } = await run()
    expect(stdout).toMatch(/^NOT OK/)
    expect(code).toBe(1)
  })

  it('refuses to compare documents of a running pipeline', async () => {
    const { code, stderr } = await run('--running', '--elasticsearch', 'http://localhost:9200')
    expect(stderr).toContain('mutually exclusive')
    expect(code).toBe(1)
  })

  it('exits with 1 when it cannot read the journal', async () => {
    const { code, stderr } = await run('--journal', join(folder, 'nowhere'))
    expect(stderr).toContain('cannot compare the tables with the topic')
    expect(code).toBe(1)
  })
})

it('reports a log that has grown since the pipeline drained it', async () => {
  await append(options.bootstrap, topic, [sale('g', 6, 'books', '1')])
  const verdict = await verify(options)
  expect(verdict).toMatchObject({ ok: false, lost: 1, rows: { unequal: 1, missing: 1 } })
  expect(verdict.problems[0]).toContain(
    'committed up to offset 3, but the topic ended at offset 4: the pipeline has not read',
  )
})

it('verifies a running pipeline up to what it has committed', async () => {
  // The tables do not contain this sale.
  await append(options.bootstrap, topic, [sale('h', 6, 'books', '1')])
  expect(await verify({ ...options, running: true })).toMatchObject({ ok: true, problems: [], rows: { compared: 9 } })
  const lost = await tampered(`update progress set next_offset = next_offset + 1 where partition = 1`, {
    running: true,
  })
  expect(lost).toMatchObject({ ok: false, lost: 1, rows: { unequal: 1, missing: 1 } })
  const ahead = await tampered(`update progress set next_offset = 1000 where partition = 1`, { running: true })
  expect(ahead.problems[0]).toContain('committed up to offset 1000, but the topic ended at offset')
})
