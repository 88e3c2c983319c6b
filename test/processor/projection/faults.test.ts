/** The Elasticsearch sink against a server that misbehaves. */
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, Sink } from '#processor/ports.ts'
import { compiledFor, minuteRow, OWNERSHIP } from './fixture.ts'
import { type Answer, bulkAnswer, healthy, ScriptedSink } from './scripted-sink.ts'

const PASSWORD = 'correct-horse'
const compiled = compiledFor('scripted')
const rows = Array.from({ length: 5 }, (_, i) => minuteRow(compiled, `s${i}`, 10n))

let server: ScriptedSink
let sink: Sink
let logged: { message: string; fields?: Record<string, unknown> | undefined }[]

beforeEach(async () => {
  server = new ScriptedSink()
  await server.start()
  logged = []
  sink = open(60_000)
})
afterEach(async () => {
  await sink.close()
  await server.stop()
})

function open(requestTimeoutMs: number): Sink {
  return createElasticsearchSink({
    nodes: [server.url],
    auth: { username: 'projector', password: PASSWORD },
    compiled,
    requestTimeoutMs,
    log: (_level, message, fields) => void logged.push({ message, fields }),
  })
}

/** Resolves with the call's error, which must be Retryable and must not contain the password. */
async function failure(call: Promise<unknown>): Promise<Retryable> {
  const error = await call.then(
    () => 'it succeeded',
    thrown => thrown,
  )
  expect(error).toBeInstanceOf(Retryable)
  expect(inspect(error, { depth: Infinity })).not.toContain(PASSWORD)
  expect(inspect(error, { depth: Infinity })).not.toContain(Buffer.from(`projector:${PASSWORD}`).toString('base64'))
  return error
}

async function expectRecovered(): Promise<void> {
  const before = server.bulks.length
  await sink.prepare(OWNERSHIP)
  expect(await sink.write(rows)).toEqual([])
  expect(server.bulks.length).toBe(before + 1)
}

const itemsAnswer = (item: (id: string) => object) => {
  server.script = request => (request.path.startsWith('/_bulk') ? bulkAnswer(request, item) : healthy(request))
}
const bulkFails = (answer: Answer) => {
  server.script = request => (request.path.startsWith('/_bulk') ? answer : healthy(request))
}

describe('the Elasticsearch sink with a healthy server', () => {
  it('sends templates and mappings before rows, as the user of the spec', async () => {
    await sink.prepare(OWNERSHIP)
    await sink.write(rows)
    expect(server.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`)).toEqual([
      'GET /scripted-by-store/_mapping',
      'GET /_index_template/scripted-template',
      'PUT /_index_template/scripted-template',
      'GET /_index_template/scripted-template',
      'PUT /scripted-by-store',
      'GET /scripted-by-store/_mapping',
      'PUT /scripted-by-store/_mapping',
      'PUT /scripted-by-store/_doc/salespipeline-no-document',
      'GET /scripted-all-time/_mapping',
      'GET /_index_template/scripted-all-time',
      'PUT /_index_template/scripted-all-time',
      'GET /_index_template/scripted-all-time',
      'PUT /scripted-all-time',
      'GET /scripted-all-time/_mapping',
      'PUT /scripted-all-time/_mapping',
      'PUT /scripted-all-time/_doc/salespipeline-no-document',
      'POST /_bulk',
    ])
    const basic = `Basic ${Buffer.from(`projector:${PASSWORD}`).toString('base64')}`
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set([basic]))
  })

  it('sends versions above 2^53 exactly', async () => {
    await sink.write([minuteRow(compiled, 'a', 9_223_372_036_854_775_807n)])
    expect(server.bulks[0]!.body).toContain('"version":9223372036854775807,')
  })

  it('sends large rows in several requests, each below the limit', async () => {
    const large = Array.from({ length: 20 }, (_, i) => minuteRow(compiled, `${i}${'x'.repeat(1_000_000)}`, 1n))
    expect(await sink.write(large)).toEqual([])
    expect(server.bulks.length).toBe(5)
    for (const { body } of server.bulks) expect(Buffer.byteLength(body)).toBeLessThan(5_000_000)
  })
})

describe('the Elasticsearch sink before the first row', () => {
  const writesAre = (status: number, type: string) => {
    server.script = request =>
      request.path.includes('/_doc/') ? { status, body: { status, error: { type, reason: 'x' } } } : healthy(request)
  }

  it.each([
    [403, 'security_exception'],
    [403, 'cluster_block_exception'],
    [429, 'cluster_block_exception'],
    [503, 'unavailable_shards_exception'],
  ])('does not prepare the sink while the index refuses writes (%i %s)', async (status, type) => {
    writesAre(status, type)
    const { message } = await failure(sink.prepare(OWNERSHIP))
    expect(message).toContain(`while trying to write to index scripted-by-store: ${status} ${type}`)
  })

  it('prepares the sink when the index refuses only the document that does not exist', async () => {
    writesAre(409, 'version_conflict_engine_exception')
    await sink.prepare(OWNERSHIP)
  })
})

describe('the Elasticsearch sink with an unavailable server', () => {
  it('fails with Retryable while connections are refused, and recovers', async () => {
    await server.stop()
    expect((await failure(sink.prepare(OWNERSHIP))).message).toContain('ECONNREFUSED')
    expect((await failure(sink.write(rows))).message).toContain('ECONNREFUSED')
    expect(server.requests).toEqual([])
    await server.start()
    await expectRecovered()
  })

  it('fails with Retryable when the server dies during a request, and recovers', async () => {
    server.script = () => {
      void server.stop()
      return 'hang'
    }
    await failure(sink.write(rows))
    expect(server.bulks.length).toBe(1)
    server.script = healthy
    await server.start()
    await expectRecovered()
  })

  it.each(['hang', 'stall'] as const)(
    'times out when the server accepts a request and never answers (%s)',
    async how => {
      const impatient = open(300)
      server.script = () => how
      expect((await failure(impatient.prepare(OWNERSHIP))).message).toContain('no answer within 300 ms')
      expect((await failure(impatient.write(rows))).message).toContain('no answer within 300 ms')
      expect(server.requests.length).toBe(2)
      await impatient.close()
      server.script = healthy
      await expectRecovered()
    },
  )

  it('closes at once while a request is in flight', async () => {
    server.script = () => 'hang'
    const slow = open(3_600_000)
    const hanging = failure(slow.write(rows))
    while (server.bulks.length === 0) await new Promise(resolve => setImmediate(resolve))
    await slow.close()
    await hanging
  })

  it.each([500, 502, 503, 504, 429])('fails with Retryable when the server answers %i, and recovers', async status => {
    bulkFails({ status, body: { error: { type: 'some_exception', reason: 'not now' }, status } })
    expect((await failure(sink.write(rows))).message).toMatch(new RegExp(`${status} some_exception: not now`))
    expect(server.bulks.length).toBe(1)
    server.script = healthy
    await expectRecovered()
  })
})

describe('the Elasticsearch sink with a server that refuses', () => {
  it.each([
    [401, /writing 5 rows: 401 .*Check the user name projector and its password/],
    [403, /writing 5 rows: 403 .*Grant user projector .*manage_index_templates/],
  ])('reports what to do when the server refuses the user with %i, and recovers', async (status, message) => {
    bulkFails({ status, body: { error: { type: 'security_exception', reason: 'no' }, status } })
    expect((await failure(sink.write(rows))).message).toMatch(message)
    server.script = healthy
    await expectRecovered()
  })

  it('reports the one document that the server rejects with 400, and shows the others', async () => {
    const error = {
      type: 'document_parsing_exception',
      reason: 'failed to parse',
      caused_by: { type: 'number_format', reason: 'for "x"' },
    }
    itemsAnswer(id => (id === rows[2]!.id ? { status: 400, error } : { status: 201 }))
    expect(await sink.write(rows)).toEqual([
      {
        aggregation: 0,
        id: rows[2]!.id,
        version: 10n,
        error: '400 document_parsing_exception: failed to parse, caused by number_format: for "x"',
      },
    ])
  })

  it.each([403, 404, 429, 503])('writes all rows again when the server rejects one document with %i', async status => {
    itemsAnswer(id =>
      id === rows[2]!.id ? { status, error: { type: 'some_exception', reason: 'not now' } } : { status: 201 },
    )
    expect((await failure(sink.write(rows))).message).toContain(`${status} some_exception: not now`)
    server.script = healthy
    await expectRecovered()
    expect(server.bulks[1]!.body).toBe(server.bulks[0]!.body)
  })

  it('halves a request that is too large, down to the row that is too large', async () => {
    const large: ProjectedRow = minuteRow(compiled, 'x'.repeat(5000), 10n)
    server.script = request => (request.body.length > 3000 ? { status: 413, body: '' } : healthy(request))
    expect(await sink.write([...rows, large])).toEqual([
      { aggregation: 0, id: large.id, version: 10n, error: expect.stringContaining('413') },
    ])
    const shown = server.bulks
      .filter(({ body }) => body.length <= 3000)
      .map(({ body }) => body)
      .join('')
    for (const { id } of rows) expect(shown).toContain(id)
    expect(shown).not.toContain(large.id)
  })
})

describe('the Elasticsearch sink with a server that has other versions', () => {
  const conflict = (found: bigint) => ({
    status: 409,
    error: {
      type: 'version_conflict_engine_exception',
      reason: `[id]: version conflict, current version [${found}] is higher or equal to the one provided [10]`,
    },
  })

  it('succeeds on equal versions, and logs nothing', async () => {
    itemsAnswer(() => conflict(10n))
    expect(await sink.write(rows)).toEqual([])
    expect(server.bulks.length).toBe(1)
    expect(logged).toEqual([])
  })

  it('succeeds on newer versions, and logs them', async () => {
    itemsAnswer(() => conflict(9_223_372_036_854_775_807n))
    expect(await sink.write(rows)).toEqual([])
    expect(logged).toMatchObject([
      { fields: { rows: 5, index: 'scripted-by-store', version: '10', found: '9223372036854775807' } },
    ])
  })
})

describe('the Elasticsearch sink with a malformed answer', () => {
  const answers: [string, Answer, string][] = [
    ['not JSON', { status: 200, body: '<html>It works!</html>' }, 'writing 5 rows'],
    ['truncated JSON', { status: 200, body: '{"items":[{"index":{"status":201}}' }, 'writing 5 rows'],
    ['an object without items', { status: 200, body: {} }, 'answered for 0 of 5 rows'],
    [
      'a list of too few items',
      { status: 200, body: { items: [{ index: { status: 201 } }] } },
      'answered for 1 of 5 rows',
    ],
    [
      'a list of items without a status',
      { status: 200, body: { items: rows.map(() => ({ index: {} })) } },
      'answered for',
    ],
    ['null', { status: 200, body: 'null' }, 'answered for 0 of 5 rows'],
    ['an empty body', { status: 200, body: '' }, 'answered for 0 of 5 rows'],
  ]
  it.each(answers)('does not treat rows as shown when the answer is %s', async (_name, answer, message) => {
    bulkFails(answer)
    expect((await failure(sink.write(rows))).message).toContain(message)
    expect(server.bulks.length).toBe(1)
    server.script = healthy
    await expectRecovered()
  })
})
