/** Two pipelines with the same file, each with its own PostgreSQL, and one Elasticsearch; upgrades from release 0.3.0. */
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { elasticsearchConnection } from '#common/store-connections.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { ElasticsearchRemoval } from '#processor/adapters/elasticsearch/removal.ts'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { PostgresRemoval } from '#processor/adapters/postgres/removal.ts'
import { runProjector } from '#processor/projector.ts'
import { removeResults } from '#processor/removal.ts'
import { createDatabase, elasticsearch, ownPostgres, unique } from '#test/support/services.ts'
import { byStore, commitNext, pipelineOf, ready, T0, TOPIC, type Worker } from '../store/fixture.ts'
import { freshPostgres, harnessOn, type PostgresHarness } from '../store/postgres-harness.ts'
import { telemetryForTest } from '../telemetry/fixture.ts'

let url: string
beforeAll(async () => {
  url = (await elasticsearch()).url
})

const clock = {
  now: Date.now,
  sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {}),
}
const chance = { next: Math.random }

/** Sends plain HTTP, not through the client under test. Resolves with undefined for 404. */
async function send(method: string, path: string, body?: object) {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}${path}`, { method, headers, body: body ? JSON.stringify(body) : null })
  if (answer.status === 404) return undefined
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as Record<string, never>
}

type Hit = { _id: string; _source: { store?: string; orders?: number } }

async function documentsIn(index: string): Promise<Hit[]> {
  await send('POST', `/${index}/_refresh`)
  const { hits } = (await send('GET', `/${index}/_search?size=100`)) as unknown as { hits: { hits: Hit[] } }
  return hits.hits.sort((a, b) => (a._id < b._id ? -1 : 1))
}

const pipelineFor = (index: string, more = '') =>
  pipelineOf(
    ['    elasticsearch:', `    elasticsearch:\n      nodes: ["${url}"]`],
    ['index: by-store,', `index: ${index}, ${more}`],
  )

type Stage = {
  harness: PostgresHarness
  pipeline: SalesPipeline
  store: Worker
  commit(...orders: number[]): Promise<unknown>
}

/** Starts a pipeline in its own database, with a row of `orders` sales for each of the stores s0, s1, … */
const stage = async (pipeline: SalesPipeline, ...orders: number[]) => stageOn(await freshPostgres(), pipeline, orders)

/** Does the same on a second PostgreSQL server, where everything but the address is as on the first. */
async function stageElsewhere(pipeline: SalesPipeline, first: Stage, ...orders: number[]): Promise<Stage> {
  const server = await ownPostgres('second')
  onTestFinished(() => server.stop())
  return stageOn(await harnessOn(await createDatabase(server, first.harness.address.database)), pipeline, orders)
}

async function stageOn(harness: PostgresHarness, pipeline: SalesPipeline, orders: number[]): Promise<Stage> {
  onTestFinished(() => harness.close())
  const { store, claim } = await ready(harness, pipeline)
  const commit = (...counts: number[]) =>
    commitNext(store, claim, {
      aggregates: [
        byStore(...counts.map((n, i): [number, string, ...number[]] => [T0, `s${i}`, ...Array<number>(n).fill(1)])),
      ],
    })
  await commit(...orders)
  return { harness, pipeline, store, commit }
}

/** Projects until no row waits or a condition is raised. Resolves with the conditions. */
async function project({ pipeline, store }: Pick<Stage, 'pipeline' | 'store'>): Promise<Record<string, string>> {
  const { telemetry } = telemetryForTest()
  const connection = { ...elasticsearchConnection(pipeline.spec, {}), requestTimeoutMs: 60_000 }
  const sink = createElasticsearchSink({ ...connection, compiled: compileSpec(pipeline.spec), log: telemetry.log })
  const stop = new AbortController()
  const projecting = runProjector({ outbox: store, sink, clock, chance, telemetry, signal: stop.signal })
  try {
    for (;;) {
      const { conditions } = await telemetry.snapshot()
      if (Object.keys(conditions).length > 0 || (await store.pending()) === 0) return conditions
      await sleep(50)
    }
  } finally {
    stop.abort()
    await projecting
    await sink.close()
  }
}

async function remove({ harness, pipeline }: Stage): Promise<string[]> {
  const { telemetry, lines } = telemetryForTest({ logLevel: 'info' })
  const rows = new PostgresRemoval(harness.options(pipeline))
  const documents = new ElasticsearchRemoval(elasticsearchConnection(pipeline.spec, {}), compileSpec(pipeline.spec))
  const { signal } = new AbortController()
  await removeResults({ rows, documents: owner => documents.stored(owner), clock, chance, telemetry, signal })
  await Promise.all([rows.close(), documents.close()])
  return lines.map(({ msg }) => String(msg))
}

describe('two pipelines of one name and one index', () => {
  it('refuses the second by name before its first write if its PostgreSQL is another server, and leaves the documents of the first as they are', async () => {
    const index = unique('same')
    const first = await stage(pipelineFor(index), 2, 3)
    expect(await project(first)).toEqual({})
    const before = await documentsIn(index)
    expect(before.map(({ _source }) => _source.orders).sort()).toEqual([2, 3])
    const second = await stageElsewhere(pipelineFor(index), first, 7, 7, 7)
    expect(second.harness.address.port).not.toBe(first.harness.address.port)
    expect(second.harness.address.database).toBe(first.harness.address.database)
    const owners = [first, second].map(({ store }) => store.ownership()!.owner)
    const refused = {
      IndexOwnedByOther: expect.stringContaining(
        `index ${index} belongs to another pipeline: its owner is ${owners[0]}, this pipeline is ${owners[1]}. Set another index for the projection of by_store`,
      ),
    }
    expect(await project(second)).toEqual(refused)
    expect(await documentsIn(index)).toEqual(before)
    expect(await second.harness.rows('by_store'), 'aggregation continues').toHaveLength(3)
    const adopting = pipelineFor(index, 'adopt: true,')
    expect(await project({ store: second.store, pipeline: adopting }), 'adopt does not take what has an owner').toEqual(
      refused,
    )
    expect(await documentsIn(index)).toEqual(before)
  })

  it('refuses the second also if only the index template of the first exists', async () => {
    const index = unique('template')
    expect(await project(await stage(pipelineFor(index), 1))).toEqual({})
    await send('DELETE', `/${index}`)
    const second = await stage(pipelineFor(index), 1)
    expect(await project(second)).toEqual({
      IndexOwnedByOther: expect.stringContaining(`index template ${index} belongs to another pipeline`),
    })
    expect(await send('GET', `/${index}`)).toBeUndefined()
  })

  it('lets one of them create the index when both start at the same moment', async () => {
    const index = unique('race')
    const stages = [await stage(pipelineFor(index), 1), await stage(pipelineFor(index), 1)]
    const conditions = await Promise.all(stages.map(project))
    expect(conditions.map(shown => Object.keys(shown).join()).sort()).toEqual(['', 'IndexOwnedByOther'])
    expect(await documentsIn(index)).toHaveLength(1)
  })

  it('keeps documents of the first when the second, which never wrote, is removed', async () => {
    const index = unique('kept')
    const first = await stage(pipelineFor(index), 2)
    await project(first)
    const before = await documentsIn(index)
    const second = await stage(pipelineFor(index), 7)
    expect(await remove(second)).toEqual([
      `skipped index ${index}: this pipeline did not create it`,
      `skipped index template ${index}: this pipeline did not create it`,
      expect.stringMatching(/^removed schema shop_sales/),
    ])
    expect(await documentsIn(index)).toEqual(before)
    expect((await remove(first))[0]).toBe(`removed index ${index}`)
    expect(await send('GET', `/${index}`)).toBeUndefined()
  })

  it('keeps a document of each for the same row in an index that both adopt, and removes only that of one', async () => {
    const index = unique('adopted')
    await send('PUT', `/${index}`, {})
    const strict = await stage(pipelineFor(index), 1)
    expect(await project(strict)).toEqual({
      IndexOwnedByOther: expect.stringContaining(
        `index ${index} was not created by this pipeline. Set another index for the projection of by_store in spec.sinks.elasticsearch.projections, or set adopt: true`,
      ),
    })
    expect(await documentsIn(index)).toEqual([])
    const [first, second] = [
      await stage(pipelineFor(index, 'adopt: true,'), 2),
      await stage(pipelineFor(index, 'adopt: true,'), 7),
    ]
    for (const each of [first, second]) expect(await project(each)).toEqual({})
    expect((await documentsIn(index)).map(({ _source }) => _source.orders).sort()).toEqual([2, 7])
    expect((await remove(second))[0]).toBe(
      `removed the documents of this pipeline from index ${index}; kept index ${index}, which it did not create`,
    )
    expect((await documentsIn(index)).map(({ _source }) => _source.orders)).toEqual([2])
  })
})

/** Turns the schema and the documents into what release 0.3.0 stored: no owner ids, and document ids without owner. */
async function downgrade({ harness, store }: Stage, index: string, mark: object): Promise<void> {
  await store.close()
  const written = await documentsIn(index)
  const { mappings } = (await send('GET', `/${index}/_mapping`))![index]! as { mappings: object }
  await send('DELETE', `/${index}`)
  await send('DELETE', `/_index_template/${index}`)
  await send('PUT', `/${index}`, { mappings: { ...mappings, _meta: mark } })
  const versions = new Map((await harness.rows('by_store')).map(row => [row.keys[0], row.version]))
  for (const { _id, _source } of written)
    await send(
      'PUT',
      `/${index}/_doc/${_id.slice(33)}?version_type=external&version=${versions.get(_source.store!)}`,
      _source,
    )
  await harness.query(
    'ALTER TABLE @pipeline DROP COLUMN owner_id, DROP COLUMN projection_checked_at, DROP COLUMN readers',
  )
  await harness.query(
    `ALTER TABLE @aggregations DROP COLUMN inherited, DROP COLUMN replacing, DROP COLUMN incomplete,
       DROP COLUMN rebuild_rows, DROP COLUMN rebuild_after, DROP COLUMN rebuild_listed`,
  )
  await harness.query(`DROP TABLE "${harness.schema}"."outbox.lease"`)
  await harness.query('ALTER TABLE @spec_history DROP COLUMN max_event_time, DROP COLUMN recorded_generation')
  for (const name of ['by_store', 'totals', 'by_kind']) await harness.query(`ALTER TABLE @${name} DROP COLUMN partial`)
  await harness.query('ALTER TABLE @dead_letters DROP COLUMN detail, DROP COLUMN counted_lines')
  await harness.query(
    'ALTER TABLE @progress DROP COLUMN agreed_time, DROP COLUMN sources, DROP COLUMN counted_lines, DROP COLUMN counted_lines_of',
  )
  await harness.query(`UPDATE @aggregations SET projection = split_part(projection, '/', 1)`)
  await harness.query('DELETE FROM @migrations WHERE version < 0')
}

describe('an upgrade from release 0.3.0', () => {
  it.each([
    ['that it created', { salesPipeline: 'shop/sales' }],
    ['that a person created', {}],
  ])('writes all rows of an index %s under new ids, and leaves no document under an old one', async (_, mark) => {
    const index = unique('upgraded')
    const old = await stage(pipelineFor(index), 1, 2, 3)
    await project(old)
    await downgrade(old, index, mark)
    await send('PUT', `/${index}/_doc/theirs`, { store: 'theirs' })
    // The entries that 0.3.0 left: s2 is a row that retention removed, whose document is still there.
    const [key] = await old.harness.query<{ k: object }>(
      `SELECT jsonb_build_array(window_start, store) AS k FROM @by_store WHERE store = 's2'`,
    )
    await old.harness.query(
      `INSERT INTO @outbox (aggregation, rows, keys, removed_version) SELECT 'by_store', 1, jsonb_build_array($1::jsonb), version + 1 FROM @by_store WHERE store = 's2'`,
      [JSON.stringify(key!.k)],
    )
    await old.harness.query(`DELETE FROM @by_store WHERE store = 's2'`)
    await old.harness.query(
      `INSERT INTO @projection_errors (aggregation, id, version, error) VALUES ('by_store', 'old', 1, 'old')`,
    )

    const store = old.harness.worker(old.pipeline)
    const { ownership } = await store.open(TOPIC)
    expect(ownership).toMatchObject({
      owner: expect.stringMatching(/^shop\/sales\/[0-9a-f-]{36}$/),
      inherited: [index],
    })
    expect(await store.rejected()).toBe(0)
    const upgraded = { ...old, store }
    expect(await project(upgraded)).toEqual({})
    const documents = await documentsIn(index)
    expect(documents.map(({ _source }) => _source.store).sort()).toEqual(['s0', 's1', 'theirs'])
    for (const { _id } of documents) expect(_id).toMatch(/^([0-9a-f]{32}-[0-9a-f]{64}|theirs)$/)
    expect((await store.open(TOPIC)).ownership).toEqual(ownership)
    expect(await store.pending(), 'a second opening enqueues nothing').toBe(0)
    await store.take(1)
    expect(await old.harness.query(`SELECT FROM @aggregations WHERE replacing`)).toEqual([])
    expect((await remove(upgraded))[0]).toBe(
      `removed the documents of this pipeline from index ${index}; kept index ${index}, which it did not create`,
    )
    expect((await documentsIn(index)).map(({ _id }) => _id)).toEqual(['theirs'])
  })

  it('refuses an index of 0.3.0 to a pipeline of the same name that did not fill it', async () => {
    const index = unique('former')
    await send('PUT', `/${index}`, { mappings: { _meta: { salesPipeline: 'shop/sales' } } })
    const other = await stage(pipelineFor(index), 1)
    expect(await project(other)).toEqual({
      IndexOwnedByOther: expect.stringContaining('its owner is shop/sales, this pipeline is shop/sales/'),
    })
  })

  it('gives the projector of a 0.3.0 worker that still runs no more work', async () => {
    const index = unique('rolling')
    const old = await stage(pipelineFor(index), 1)
    await project(old)
    await downgrade(old, index, { salesPipeline: 'shop/sales' })
    await old.harness.worker(old.pipeline).open(TOPIC)
    const [{ projection }] = (await old.harness.query(
      `SELECT projection FROM @aggregations WHERE name = 'by_store'`,
    )) as [{ projection: string }]
    expect(projection, 'a 0.3.0 worker looks for entries of the index alone').not.toBe(index)
    expect(projection.startsWith(`${index}/`), 'and still enqueues rows of a projected aggregation').toBe(true)
  })

  it('removes neither index nor documents of a schema that no later release has opened', async () => {
    const index = unique('unopened')
    const old = await stage(pipelineFor(index), 1)
    await project(old)
    await downgrade(old, index, { salesPipeline: 'shop/sales' })
    expect((await remove(old))[0]).toBe(`skipped index ${index}: this pipeline did not create it`)
    expect(await documentsIn(index)).toHaveLength(1)
  })
})
