import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, Sink } from '#processor/ports.ts'
import { elasticsearch, unique } from '#test/support/services.ts'
import { projectionContract } from './contract.ts'
import { adopting, compiledFor, minuteRow, OWNERSHIP, removed } from './fixture.ts'

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
    log,
    requestTimeoutMs: 60_000,
  })
  opened.push(sink)
  return sink
}

/** Sends plain HTTP, not through the client under test. Resolves with undefined for 404. */
async function send(method: string, path: string, body?: object): Promise<Record<string, never> | undefined> {
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

const indexTemplateOf = (compiled: CompiledSpec) => compiled.spec.sinks.elasticsearch!.projections[0]!.template

async function shown(compiled: CompiledSpec, { aggregation, id }: ProjectedRow): Promise<ProjectedRow['document']> {
  const hit = await send('GET', `/${indexOf(compiled, aggregation)}/_doc/${id}`)
  return hit?._source ?? null
}

projectionContract('Elasticsearch', async () => {
  const compiled = compiledFor(unique('contract'))
  const sink = openSink(compiled)
  await sink.prepare(OWNERSHIP)
  return { compiled, sink, shown: row => shown(compiled, row) }
})

describe('prepare on Elasticsearch', () => {
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
    partial: { type: 'boolean' },
    updated_at: { type: 'date' },
  }
  const _meta = { salesPipeline: OWNERSHIP.owner }
  const mappingOf = async (index: string) => (await send('GET', `/${index}/_mapping`))?.[index] as unknown

  it('writes templates, and creates indices with their strict mapping and our mark', async () => {
    const prefix = unique('prepare')
    const compiled = compiledFor(prefix)
    await openSink(compiled).prepare(OWNERSHIP)
    const template = await send('GET', `/_index_template/${prefix}-template`)
    expect(template!.index_templates).toMatchObject([
      { index_template: { index_patterns: [`${prefix}-by-store`], _meta } },
    ])
    const mappings = { dynamic: 'strict', _meta, properties: PROPERTIES }
    expect(await mappingOf(`${prefix}-by-store`)).toEqual({ mappings })
    await openSink(compiled).prepare(OWNERSHIP)
    expect(await mappingOf(`${prefix}-by-store`), 'the next worker keeps the mark').toEqual({ mappings })
    const settings = await send('GET', `/${prefix}-all-time/_settings?flat_settings=true`)
    expect(settings![`${prefix}-all-time`]).toMatchObject({
      settings: { 'index.auto_expand_replicas': '0-1', 'index.gc_deletes': '10m' },
    })
  })

  it('leaves no document behind when it tries whether the index accepts writes, and fails while it does not', async () => {
    const compiled = compiledFor(unique('tried'))
    const index = indexOf(compiled, 0)
    await openSink(compiled).prepare(OWNERSHIP)
    await send('POST', `/${index}/_refresh`)
    expect((await send('GET', `/${index}/_count`))?.count).toBe(0)
    await send('PUT', `/${index}/_settings`, { 'index.blocks.write': true })
    await expect(openSink(compiled).prepare(OWNERSHIP)).rejects.toThrow(
      /trying to write to index \S+: 403 cluster_block/,
    )
    await send('PUT', `/${index}/_settings`, { 'index.blocks.write': false })
    await openSink(compiled).prepare(OWNERSHIP)
  })

  it('prepares indices from several workers at once', async () => {
    const compiled = compiledFor(unique('together'))
    await Promise.all(Array.from({ length: 4 }, () => openSink(compiled).prepare(OWNERSHIP)))
    expect(await mappingOf(indexOf(compiled, 0))).toBeDefined()
  })

  it('gives the same mapping and mark to an index that Elasticsearch creates from the template', async () => {
    const compiled = compiledFor(unique('remade'))
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    await send('DELETE', `/${indexOf(compiled, 0)}`)
    const row = minuteRow(compiled, 'a', 1n)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
    expect(await mappingOf(indexOf(compiled, 0))).toEqual({
      mappings: { dynamic: 'strict', _meta, properties: PROPERTIES },
    })
  })

  it('marks its index even if a foreign template has a higher priority than its own', async () => {
    const prefix = unique('outranked')
    const compiled = compiledFor(prefix)
    const foreign = {
      index_patterns: [`${prefix}-*`],
      priority: 9000,
      template: { settings: { 'index.codec': 'default' } },
    }
    await send('PUT', `/_index_template/${prefix}-foreign`, foreign)
    await openSink(compiled).prepare(OWNERSHIP)
    expect(await mappingOf(indexOf(compiled, 0))).toMatchObject({ mappings: { _meta } })
    await send('DELETE', `/_index_template/${prefix}-foreign`)
  })

  it('only adds missing fields to an adopted index, keeps its documents, and does not mark it', async () => {
    const compiled = adopting(compiledFor(unique('grown')))
    const index = indexOf(compiled, 0)
    await send('PUT', `/${index}`, { mappings: { dynamic: false, properties: { store: { type: 'keyword' } } } })
    await send('PUT', `/${index}/_doc/old`, { store: 'old' })
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    expect(await sink.write([minuteRow(compiled, 'a', 1n)])).toEqual([])
    expect(await mappingOf(index)).toEqual({ mappings: { dynamic: 'false', properties: PROPERTIES } })
    expect(await send('GET', `/_index_template/${indexTemplateOf(compiled)}`)).toBeUndefined()
    expect((await send('GET', `/${index}/_doc/old`))?._source).toEqual({ store: 'old' })
  })

  it('writes through an alias, as a rebuild of the index leaves one', async () => {
    const compiled = adopting(compiledFor(unique('alias')))
    const alias = indexOf(compiled, 0)
    await send('PUT', `/${alias}-2`, { aliases: { [alias]: {} } })
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    const row = minuteRow(compiled, 'a', 1n)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
  })

  it('reports what to do when an index maps a field to another type', async () => {
    const compiled = adopting(compiledFor(unique('conflict')))
    await send('PUT', `/${indexOf(compiled, 0)}`, { mappings: { properties: { orders: { type: 'keyword' } } } })
    const failure = await openSink(compiled)
      .prepare(OWNERSHIP)
      .catch(error => error)
    expect(failure).toBeInstanceOf(Retryable)
    expect(failure.message).toContain(indexOf(compiled, 0))
    expect(failure.message).toContain('mapper [orders] cannot be changed from type [keyword] to [long]')
    expect(failure.message).toContain('set a different index name')
  })
})

describe('documents in Elasticsearch', () => {
  it('makes documents that can be searched, sorted and summed by every kind of field', async () => {
    const compiled = compiledFor(unique('search'))
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    const rows = ['0.10', '0.20', '1000000.05'].map((revenue, i) =>
      minuteRow(compiled, `s${i}`, 1n, { columns: [revenue, String(i + 1), revenue, '1'], shown: [revenue] }),
    )
    expect(await sink.write(rows)).toEqual([])
    await send('POST', `/${indexOf(compiled, 0)}/_refresh`)
    const answer = await send('POST', `/${indexOf(compiled, 0)}/_search`, {
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

  it('logs a newer version that it finds in the index, but not an equal one', async () => {
    const compiled = compiledFor(unique('newer'))
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    const [kept, deleted] = [minuteRow(compiled, 'kept', 30n), minuteRow(compiled, 'deleted', 30n)]
    await sink.write([kept, removed(deleted, 31n)])
    logged.length = 0
    expect(await sink.write([kept, removed(deleted, 31n)])).toEqual([])
    expect(logged).toEqual([])
    expect(await sink.write([{ ...kept, version: 29n }, deleted])).toEqual([])
    expect(logged).toEqual([
      {
        message: expect.stringContaining('newer versions'),
        fields: { rows: 2, index: indexOf(compiled, 0), id: kept.id, version: '29', found: '30' },
      },
    ])
  })

  it('rejects documents while their index is closed, and accepts them once it is open', async () => {
    const compiled = compiledFor(unique('closed'))
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    await send('POST', `/${indexOf(compiled, 0)}/_close`)
    const row = minuteRow(compiled, 'a', 1n)
    await expect(sink.write([row])).rejects.toThrow(/index_closed_exception/)
    await send('POST', `/${indexOf(compiled, 0)}/_open?wait_for_active_shards=1`)
    expect(await sink.write([row])).toEqual([])
    expect(await shown(compiled, row)).toEqual(row.document)
  })

  it('rejects documents while writes to their index are blocked, and accepts them afterwards', async () => {
    const compiled = compiledFor(unique('blocked'))
    const sink = openSink(compiled)
    await sink.prepare(OWNERSHIP)
    await send('PUT', `/${indexOf(compiled, 0)}/_settings`, { 'index.blocks.write': true })
    const row = minuteRow(compiled, 'a', 1n)
    await expect(sink.write([row])).rejects.toBeInstanceOf(Retryable)
    await send('PUT', `/${indexOf(compiled, 0)}/_settings`, { 'index.blocks.write': null })
    expect(await sink.write([row])).toEqual([])
  })
})
