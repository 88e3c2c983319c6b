import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Plan } from '#pipeline/plan.ts'
import { createElasticsearchProjection } from '#processor/adapters/elasticsearch/projection.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, Projection } from '#processor/ports.ts'
import { elasticsearch, unique } from '#test/support/services.ts'
import { projectionContract } from './contract.ts'
import { minuteRow, planFor, removed } from './fixture.ts'

const OWNER = 'default/projected'

type Logged = { message: string; fields?: Record<string, unknown> | undefined }

let url: string
const opened: Projection[] = []
const logged: Logged[] = []

beforeAll(async () => {
  url = (await elasticsearch()).url
})
afterAll(() => Promise.all(opened.map(projection => projection.close())))

function openProjection(plan: Plan): Projection {
  const log = (_level: string, message: string, fields?: Record<string, unknown>) =>
    void logged.push({ message, fields })
  // Creating an index takes seconds on a machine that is busy with other tests.
  const projection = createElasticsearchProjection({ nodes: [url], plan, owner: OWNER, log, requestTimeoutMs: 60_000 })
  opened.push(projection)
  return projection
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

const indexOf = (plan: Plan, aggregation: number) => plan.spec.sinks.elasticsearch!.projections[aggregation]!.index

async function shown(plan: Plan, { aggregation, id }: ProjectedRow): Promise<ProjectedRow['document']> {
  const hit = await ask('GET', `/${indexOf(plan, aggregation)}/_doc/${id}`)
  return hit?._source ?? null
}

projectionContract('Elasticsearch', async () => {
  const plan = planFor(unique('contract'))
  const projection = openProjection(plan)
  await projection.prepare()
  return { plan, projection, shown: row => shown(plan, row) }
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
    const plan = planFor(prefix)
    await openProjection(plan).prepare()
    const template = await ask('GET', `/_index_template/${prefix}-template`)
    expect(template!.index_templates).toMatchObject([
      { index_template: { index_patterns: [`${prefix}-by-store`], _meta } },
    ])
    const mappings = { dynamic: 'strict', _meta, properties: PROPERTIES }
    expect(await mappingOf(`${prefix}-by-store`)).toEqual({ mappings })
    await openProjection(plan).prepare()
    expect(await mappingOf(`${prefix}-by-store`), 'the next worker leaves the mark').toEqual({ mappings })
    const settings = await ask('GET', `/${prefix}-all-time/_settings?flat_settings=true`)
    expect(settings![`${prefix}-all-time`]).toMatchObject({
      settings: { 'index.auto_expand_replicas': '0-1', 'index.gc_deletes': '10m' },
    })
  })

  it('is done by several workers at once', async () => {
    const plan = planFor(unique('together'))
    await Promise.all(Array.from({ length: 4 }, () => openProjection(plan).prepare()))
    expect(await mappingOf(indexOf(plan, 0))).toBeDefined()
  })

  it('gives an index that is made under its template the same mapping and mark', async () => {
    const plan = planFor(unique('remade'))
    const projection = openProjection(plan)
    await projection.prepare()
    await ask('DELETE', `/${indexOf(plan, 0)}`)
    const row = minuteRow(plan, 'a', 1n)
    expect(await projection.write([row])).toEqual([])
    expect(await shown(plan, row)).toEqual(row.document)
    expect(await mappingOf(indexOf(plan, 0))).toEqual({
      mappings: { dynamic: 'strict', _meta, properties: PROPERTIES },
    })
  })

  it('marks its index also where a template of somebody else comes before its own', async () => {
    const prefix = unique('outranked')
    const plan = planFor(prefix)
    const theirs = {
      index_patterns: [`${prefix}-*`],
      priority: 9000,
      template: { settings: { 'index.codec': 'default' } },
    }
    await ask('PUT', `/_index_template/${prefix}-theirs`, theirs)
    await openProjection(plan).prepare()
    expect(await mappingOf(indexOf(plan, 0))).toMatchObject({ mappings: { _meta } })
    await ask('DELETE', `/_index_template/${prefix}-theirs`)
  })

  it('adds the fields that somebody’s index lacks, keeps its documents, and does not mark it', async () => {
    const plan = planFor(unique('grown'))
    const index = indexOf(plan, 0)
    await ask('PUT', `/${index}`, { mappings: { dynamic: false, properties: { store: { type: 'keyword' } } } })
    await ask('PUT', `/${index}/_doc/old`, { store: 'old' })
    const projection = openProjection(plan)
    await projection.prepare()
    expect(await projection.write([minuteRow(plan, 'a', 1n)])).toEqual([])
    expect(await mappingOf(index)).toEqual({ mappings: { dynamic: 'strict', properties: PROPERTIES } })
    expect((await ask('GET', `/${index}/_doc/old`))?._source).toEqual({ store: 'old' })
  })

  it('works on an alias, as a rebuild leaves it', async () => {
    const plan = planFor(unique('alias'))
    const alias = indexOf(plan, 0)
    await ask('PUT', `/${alias}-2`, { aliases: { [alias]: {} } })
    const projection = openProjection(plan)
    await projection.prepare()
    const row = minuteRow(plan, 'a', 1n)
    expect(await projection.write([row])).toEqual([])
    expect(await shown(plan, row)).toEqual(row.document)
  })

  it('says what to do when an index maps a field otherwise', async () => {
    const plan = planFor(unique('conflict'))
    await ask('PUT', `/${indexOf(plan, 0)}`, { mappings: { properties: { orders: { type: 'keyword' } } } })
    const failure = await openProjection(plan)
      .prepare()
      .catch(error => error)
    expect(failure).toBeInstanceOf(Retryable)
    expect(failure.message).toContain(indexOf(plan, 0))
    expect(failure.message).toContain('mapper [orders] cannot be changed from type [keyword] to [long]')
    expect(failure.message).toContain('name another')
  })
})

describe('Elasticsearch: documents', () => {
  it('can be searched, sorted and summed by every kind of field', async () => {
    const plan = planFor(unique('search'))
    const projection = openProjection(plan)
    await projection.prepare()
    const rows = ['0.10', '0.20', '1000000.05'].map((revenue, i) =>
      minuteRow(plan, `s${i}`, 1n, { columns: [revenue, String(i + 1), revenue, '1'], averages: [revenue] }),
    )
    expect(await projection.write(rows)).toEqual([])
    await ask('POST', `/${indexOf(plan, 0)}/_refresh`)
    const answer = await ask('POST', `/${indexOf(plan, 0)}/_search`, {
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
    const plan = planFor(unique('newer'))
    const projection = openProjection(plan)
    await projection.prepare()
    const [kept, gone] = [minuteRow(plan, 'kept', 30n), minuteRow(plan, 'gone', 30n)]
    await projection.write([kept, removed(gone, 31n)])
    logged.length = 0
    expect(await projection.write([kept, removed(gone, 31n)])).toEqual([])
    expect(logged).toEqual([])
    expect(await projection.write([{ ...kept, version: 29n }, gone])).toEqual([])
    expect(logged).toEqual([
      {
        message: expect.stringContaining('greater version'),
        fields: { rows: 2, index: indexOf(plan, 0), id: kept.id, version: '29', found: '30' },
      },
    ])
  })

  it('are written later while their index is closed', async () => {
    const plan = planFor(unique('closed'))
    const projection = openProjection(plan)
    await projection.prepare()
    await ask('POST', `/${indexOf(plan, 0)}/_close`)
    const row = minuteRow(plan, 'a', 1n)
    await expect(projection.write([row])).rejects.toThrow(/index_closed_exception/)
    await ask('POST', `/${indexOf(plan, 0)}/_open?wait_for_active_shards=1`)
    expect(await projection.write([row])).toEqual([])
    expect(await shown(plan, row)).toEqual(row.document)
  })

  it('are written later while their index takes no writes', async () => {
    const plan = planFor(unique('blocked'))
    const projection = openProjection(plan)
    await projection.prepare()
    await ask('PUT', `/${indexOf(plan, 0)}/_settings`, { 'index.blocks.write': true })
    const row = minuteRow(plan, 'a', 1n)
    await expect(projection.write([row])).rejects.toBeInstanceOf(Retryable)
    await ask('PUT', `/${indexOf(plan, 0)}/_settings`, { 'index.blocks.write': null })
    expect(await projection.write([row])).toEqual([])
  })
})
