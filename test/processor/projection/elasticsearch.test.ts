import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, Sink } from '#processor/ports.ts'
import { elasticsearch, unique } from '#test/support/services.ts'
import { projectionContract } from './contract.ts'
import { compiledFor, minuteRow, removed } from './fixture.ts'

const OWNER = 'default/projected'

type Logged = { message: string; fields?: Record<string, unknown> | undefined }

let url: string
const opened: Sink[] = []
const logged: Logged[] = []

beforeAll(async () => {
  url = (await elasticsearch()).url
})
afterAll(() => Promise.all(opened.map(sink => sink.close())))

function openSink(compiled: CompiledSpec): Sink {
  const log = (_level: string, message: string, fields?: Record<string, unknown>) =>
    void logged.push({ message, fields })
  // Creating an index takes seconds on a machine that is busy with other tests.
  const sink = createElasticsearchSink({
    nodes: [url],
    compiled,
    owner: OWNER,
    log,
    requestTimeoutMs: 60_000,
  })
  opened.push(sink)
  return sink
}

/** By plain HTTP, not through the client under test. Undefined for 404. */
async function ask(method: string, path: string, body?: object): Promise<Record<string, never> | undefined> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
  if (answer.status === 404) return undefined
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as Record<string, never>
}

const indexOf = (compiled: CompiledSpec, aggregation: number) =>
  compiled.spec.sinks.elasticsearch!.projections[aggregation]!.index

async function shown(compiled: CompiledSpec, { aggregation, id }: ProjectedRow): Promise<ProjectedRow['document']> {
  const hit = await ask('GET', `/${indexOf(compiled, aggregation)}/_doc/${id}`)
  return hit?._source ?? null
}

projectionContract('Elasticsearch', async () => {
  const compiled = compiledFor(unique('contract'))
  const sink = openSink(compiled)
  await sink.prepare()
  return { compiled, sink, shown: row => shown(compiled, row) }
})

describe('Elasticsearch: preparing', () => {
  const PROPERTIES = {
    '@timestamp': { type: 'date' },
    window_end: { type: 'date' },
    store: { type: 'keyword' },
    lane: { type: 'keyword' },
    online: { type: 'boolean' },
    total: { properties: { revenue: { type: 'double' } } },
    orders: { type: 'long' },
    usual_sum: { type: 'double' },
    usual_count: { type: 'long' },
    usual: { type: 'double' },
    final: { type: 'boolean' },
    updated_at: { type: 'date' },
  }
  const _meta = { salesPipeline: OWNER }
  const mappingOf = async (index: string) => (await ask('GET', `/${index}/_mapping`))?.[index] as unknown

  it('writes the templates, and the indices have their strict mapping and our mark', async () => {
    const prefix = unique('prepare')
    const compiled = compiledFor(prefix)
    await openSink(compiled).prepare()
    const template = await ask('GET', `/_index_template/${prefix}-template`)
    expect(template!.index_templates).toMatchObject([
      { index_template: { index_patterns: [`${prefix}-by-store`], _meta } },
    ])
    const mappings = { dynamic: 'strict', _meta, properties: PROPERTIES }
    expect(await mappingOf(`${prefix}-by-store`)).toEqual({ mappings })
    await openSink(compiled).prepare()
    expect(await mappingOf(`${prefix}-by-store`), 'the next worker leaves the mark').toEqual({ mappings })
    const settings = await ask('GET', `/${prefix}-all-time/_settings?flat_settings=true`)
    expect(settings![`${prefix}-all-time`]).toMatchObject({
      settings: { 'index.auto_expand_replicas': '0-1', 'index.gc_deletes': '10m' },
    })
  })

  it('is done by several workers at once', async () => {
    const compiled = compiledFor(unique('together'))
    await Promise.all(Array.from({ length: 4 }, () => openSink(compiled).prepare()))
    expect(await mappingOf(indexOf(compiled, 0))).toBeDefined()
  })

  it('gives an index that is made under its template the same mapping and mark', async () => {
    const compiled = compiledFor(unique('remade'))
    const sink = openSink(compiled)
    await sink.prepare()
    await ask('DELETE', `/${indexOf(compiled, 0)}`)
    const row = minuteRow(compiled, 'a', 1n)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
    expect(await mappingOf(indexOf(compiled, 0))).toEqual({
      mappings: { dynamic: 'strict', _meta, properties: PROPERTIES },
    })
  })

  it('marks its index also where a template of somebody else comes before its own', async () => {
    const prefix = unique('outranked')
    const compiled = compiledFor(prefix)
    const theirs = {
      index_patterns: [`${prefix}-*`],
      priority: 9000,
      template: { settings: { 'index.codec': 'default' } },
    }
    await ask('PUT', `/_index_template/${prefix}-theirs`, theirs)
    await openSink(compiled).prepare()
    expect(await mappingOf(indexOf(compiled, 0))).toMatchObject({ mappings: { _meta } })
    await ask('DELETE', `/_index_template/${prefix}-theirs`)
  })

  it('adds the fields that somebody’s index lacks, keeps its documents, and does not mark it', async () => {
    const compiled = compiledFor(unique('grown'))
    const index = indexOf(compiled, 0)
    await ask('PUT', `/${index}`, { mappings: { dynamic: false, properties: { store: { type: 'keyword' } } } })
    await ask('PUT', `/${index}/_doc/old`, { store: 'old' })
    const sink = openSink(compiled)
    await sink.prepare()
    expect(await sink.write([minuteRow(compiled, 'a', 1n)])).toEqual([])
    expect(await mappingOf(index)).toEqual({ mappings: { dynamic: 'strict', properties: PROPERTIES } })
    expect((await ask('GET', `/${index}/_doc/old`))?._source).toEqual({ store: 'old' })
  })

  it('works on an alias, as a rebuild leaves it', async () => {
    const compiled = compiledFor(unique('alias'))
    const alias = indexOf(compiled, 0)
    await ask('PUT', `/${alias}-2`, { aliases: { [alias]: {} } })
    const sink = openSink(compiled)
    await sink.prepare()
    const row = minuteRow(compiled, 'a', 1n)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
  })

  it('says what to do when an index maps a field otherwise', async () => {
    const compiled = compiledFor(unique('conflict'))
    await ask('PUT', `/${indexOf(compiled, 0)}`, { mappings: { properties: { orders: { type: 'keyword' } } } })
    const failure = await openSink(compiled)
      .prepare()
      .catch(error => error)
    expect(failure).toBeInstanceOf(Retryable)
    expect(failure.message).toContain(indexOf(compiled, 0))
    expect(failure.message).toContain('mapper [orders] cannot be changed from type [keyword] to [long]')
    expect(failure.message).toContain('name another')
  })
})

describe('Elasticsearch: documents', () => {
  it('can be searched, sorted and summed by every kind of field', async () => {
    const compiled = compiledFor(unique('search'))
    const sink = openSink(compiled)
    await sink.prepare()
    const rows = ['0.10', '0.20', '1000000.05'].map((revenue, i) =>
      minuteRow(compiled, `s${i}`, 1n, { columns: [revenue, String(i + 1), revenue, '1'], averages: [revenue] }),
    )
    expect(await sink.write(rows)).toEqual([])
    await ask('POST', `/${indexOf(compiled, 0)}/_refresh`)
    const answer = await ask('POST', `/${indexOf(compiled, 0)}/_search`, {
      size: 1,
      query: {
        bool: {
          filter: [
            { range: { '@timestamp': { gte: '2026-01-15' } } },
            { term: { online: true } },
            { term: { lane: '7' } },
          ],
        },
      },
      sort: [{ 'total.revenue': 'desc' }],
      aggs: { revenue: { sum: { field: 'total.revenue' } }, orders: { sum: { field: 'orders' } } },
    })
    expect(answer).toMatchObject({
      hits: { total: { value: 3 }, hits: [{ _id: rows[2]!.id }] },
      aggregations: { revenue: { value: expect.closeTo(1000000.35, 6) }, orders: { value: 6 } },
    })
  })

  it('tells of a greater version that it finds, and not of an equal one', async () => {
    const compiled = compiledFor(unique('newer'))
    const sink = openSink(compiled)
    await sink.prepare()
    const [kept, gone] = [minuteRow(compiled, 'kept', 30n), minuteRow(compiled, 'gone', 30n)]
    await sink.write([kept, removed(gone, 31n)])
    logged.length = 0
    expect(await sink.write([kept, removed(gone, 31n)])).toEqual([])
    expect(logged).toEqual([])
    expect(await sink.write([{ ...kept, version: 29n }, gone])).toEqual([])
    expect(logged).toEqual([
      {
        message: expect.stringContaining('greater version'),
        fields: { rows: 2, index: indexOf(compiled, 0), id: kept.id, version: '29', found: '30' },
      },
    ])
  })

  it('are written later while their index is closed', async () => {
    const compiled = compiledFor(unique('closed'))
    const sink = openSink(compiled)
    await sink.prepare()
    await ask('POST', `/${indexOf(compiled, 0)}/_close`)
    const row = minuteRow(compiled, 'a', 1n)
    await expect(sink.write([row])).rejects.toThrow(/index_closed_exception/)
    await ask('POST', `/${indexOf(compiled, 0)}/_open?wait_for_active_shards=1`)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
  })

  it('are written later while their index takes no writes', async () => {
    const compiled = compiledFor(unique('blocked'))
    const sink = openSink(compiled)
    await sink.prepare()
    await ask('PUT', `/${indexOf(compiled, 0)}/_settings`, { 'index.blocks.write': true })
    const row = minuteRow(compiled, 'a', 1n)
    await expect(sink.write([row])).rejects.toBeInstanceOf(Retryable)
    await ask('PUT', `/${indexOf(compiled, 0)}/_settings`, { 'index.blocks.write': null })
    expect(await sink.write([row])).toEqual([])
  })
})
