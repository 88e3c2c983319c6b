/** How an upgrade from release 0.3.0, which rounded each event, keeps the rule of stored aggregations (section 7). */
import { describe, expect } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { keepFormerDefaults } from '#pipeline/former-defaults.ts'
import { specIdentity } from '#pipeline/identity.ts'
import { keepRounding } from '#pipeline/rounding.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { storedPipeline } from '#processor/adapters/postgres/stored-aggregations.ts'
import { byStore, commitNext, pipelineOf, ROUNDED, T0, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const WRITTEN = pipelineOf(...ROUNDED)
const ADDED = pipelineOf(...ROUNDED, [
  '    - name: totals',
  '    - { name: added, measures: [{ name: mean, op: average, of: amount, scale: 1 }] }\n    - name: totals',
])

/** Returns the document as release 0.3.0 stored it. Its compiled spec and identity are those with `roundEach`. */
function storedBy030(harness: PostgresHarness, pipeline: SalesPipeline) {
  const each = keepRounding(pipeline, new Set(pipeline.spec.aggregations.map(a => a.name)))
  const pipelineJson = JSON.stringify(pipeline, (key, value) => (key === 'roundEach' ? undefined : value))
  return { ...harness.options(each), pipelineJson }
}

async function roundedEach(harness: PostgresHarness): Promise<Set<string>> {
  const { aggregations } = await storedPipeline(harness.options())
  return new Set([...aggregations].filter(([, { roundsEach }]) => roundsEach).map(([name]) => name))
}

/** Returns a worker as processor/main.ts opens it. */
const upgraded = async (harness: PostgresHarness, pipeline: SalesPipeline) =>
  harness.worker(keepRounding(pipeline, await roundedEach(harness)))

const rule = (specJson: string) => compileSpec(JSON.parse(specJson).spec).aggregations[0]!.columns.map(c => c.scale)

describe('an upgrade from release 0.3.0', () => {
  test('finds nothing in a schema that is missing, or belongs to others', async harness => {
    expect(await roundedEach(harness)).toEqual(new Set())
    await harness.query(`CREATE SCHEMA ${harness.schema}`)
    await harness.query('CREATE TABLE @aggregations (id int)')
    expect(await roundedEach(harness)).toEqual(new Set())
    await harness.query('DROP TABLE @aggregations')
    await harness.workerWith(storedBy030(harness, WRITTEN)).open(TOPIC)
    expect((await storedPipeline(harness.options())).aggregations.size).toBeGreaterThan(0)
    const names = { name: harness.schema, former: null, owner: 'shop/other' }
    expect(await storedPipeline({ ...harness.options(), names })).toEqual({
      schema: harness.schema,
      aggregations: new Map(),
      watermark: null,
    })
  })

  test('opens the tables, keeps the generation, and adds to rows by their rule', async harness => {
    const old = harness.workerWith(storedBy030(harness, WRITTEN))
    await old.open(TOPIC)
    await commitNext(old, await old.claim(0, 100), { aggregates: [byStore([T0, 'a', 1555, 3612])] })
    const before = await harness.rows('by_store')
    expect(before[0]!.values).toMatchObject({ revenue: '51.67', average_order: '25.84' })

    await expect(harness.worker(WRITTEN).open(TOPIC)).rejects.toMatchObject({ code: 'AggregationChanged' })
    const worker = await upgraded(harness, WRITTEN)
    expect(await worker.open(TOPIC)).toMatchObject({ generation: 1 })
    expect(await harness.rows('by_store')).toEqual(before)
    const claim = await worker.claim(0, 0)
    expect(claim.segments.map(({ specJson }) => rule(specJson))).toEqual([[0, 2, 4, 4, 2, 0]])
    await commitNext(worker, claim, { aggregates: [byStore([T0, 'a', 100])] })
    expect((await harness.rows('by_store'))[0]!.values).toMatchObject({ revenue: '52.67', average_order: '17.56' })
  })

  test('rounds an aggregation once that was added after the upgrade', async harness => {
    await harness.workerWith(storedBy030(harness, WRITTEN)).open(TOPIC)
    for (let start = 1; start <= 2; start++) {
      const worker = await upgraded(harness, ADDED)
      expect(await worker.open(TOPIC)).toMatchObject({ generation: 2 })
      expect(await roundedEach(harness)).toEqual(new Set(['by_store', 'totals', 'by_kind']))
      const { segments } = await worker.claim(start - 1, 0)
      const { spec } = JSON.parse(segments.at(-1)!.specJson) as SalesPipeline
      const scales = compileSpec(spec).aggregations.map(a => a.columns.map(c => c.scale))
      expect(scales).toEqual([[0, 2, 4, 4, 2, 0], [4, 0], [4], [0]])
    }
  })

  test('keeps the settings of the watermark that the document leaves out, and so the generation', async harness => {
    const document = { spec: { watermark: { outOfOrderness: '5s' } } }
    const stored = keepFormerDefaults(WRITTEN, document, { outOfOrderness: 5000, maxFutureSkew: 300_000 }).pipeline
    expect(stored.spec.watermark.maxFutureSkew).toBe(300_000)
    await harness.worker(stored).open(TOPIC)
    const { watermark } = await storedPipeline(harness.options())
    const { pipeline, kept } = keepFormerDefaults(WRITTEN, document, watermark)
    expect(kept).toEqual(['maxFutureSkew'])
    expect(await harness.worker(pipeline).open(TOPIC)).toMatchObject({ generation: 1 })
    expect(await harness.worker(WRITTEN).open(TOPIC)).toMatchObject({ generation: 2 })
  })

  test('finds nothing in a schema that this release created', async harness => {
    const worker = await upgraded(harness, WRITTEN)
    await worker.open(TOPIC)
    expect(await roundedEach(harness)).toEqual(new Set())
    const again = await upgraded(harness, WRITTEN)
    expect(await again.open(TOPIC)).toMatchObject({ generation: 1 })
    expect(await harness.query('SELECT identity FROM @specs')).toEqual([{ identity: specIdentity(WRITTEN.spec) }])
  })

  test('refuses to round each event in a table that rounds once, and the reverse', async harness => {
    const each = pipelineOf(...ROUNDED, [
      'scale: 2 }\n        - { name: smallest',
      'scale: 2, roundEach: true }\n        - { name: smallest',
    ])
    await (await upgraded(harness, each)).open(TOPIC)
    await expect((await upgraded(harness, WRITTEN)).open(TOPIC)).rejects.toMatchObject({ code: 'AggregationChanged' })
  })
})
