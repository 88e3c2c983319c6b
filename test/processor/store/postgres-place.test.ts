/** The schema of a pipeline whose name does not tell it: tables of release 0.3.0 keep the name that it gave (section 1). */
import { expect } from 'vitest'
import { schemaNames, specIdentity } from '#pipeline/identity.ts'
import { PostgresRemoval } from '#processor/adapters/postgres/removal.ts'
import { storedPipeline } from '#processor/adapters/postgres/stored-aggregations.ts'
import { pipelineOf, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const named = (namespace: string, name: string) =>
  pipelineOf(['name: sales, namespace: shop', `name: ${name}, namespace: ${namespace}`])
type Pipeline = ReturnType<typeof named>

/** Opens the schema that a worker of this release finds for the pipeline. Resolves with its name. */
async function started(harness: PostgresHarness, pipeline: Pipeline): Promise<string> {
  const { schema } = await storedPipeline(harness.options(pipeline))
  await harness.workerWith({ ...harness.options(pipeline), schema }).open(TOPIC)
  return schema
}

/** Creates the tables of release 0.3.0 under the name that it gave. */
async function startedBy030(harness: PostgresHarness, pipeline: Pipeline): Promise<string> {
  const schema = schemaNames(pipeline).former!
  await harness.workerWith({ ...harness.options(pipeline), schema }).open(TOPIC)
  await harness.query(`ALTER TABLE ${schema}.pipeline DROP COLUMN owner_id`)
  await harness.query(`DELETE FROM ${schema}.migrations WHERE version = -1`)
  await harness.query(`ALTER TABLE ${schema}.aggregations DROP COLUMN inherited, DROP COLUMN replacing`)
  return schema
}

test('gives two pipelines two schemas, although release 0.3.0 gave both the same name', async harness => {
  const [first, second] = [named('shop-a', 'b'), named('shop', 'a-b')]
  expect(await startedBy030(harness, first)).toBe('shop_a_b')
  expect(await started(harness, first)).toBe('shop_a_b')
  expect(await started(harness, second)).toMatch(/^shop_a_b_[0-9a-f]{8}$/)
  expect(await started(harness, first)).toBe('shop_a_b')
  expect(specIdentity(first.spec)).toBe(specIdentity(second.spec))
})

test('continues in a schema whose name release 0.3.0 cut', async harness => {
  const pipeline = named('x'.repeat(30), 'a'.repeat(40))
  const schema = await startedBy030(harness, pipeline)
  expect(schema).toHaveLength(57)
  expect(await started(harness, pipeline)).toBe(schema)
  expect(await started(harness, named('x'.repeat(30), `${'a'.repeat(39)}b`))).not.toBe(schema)
})

test('removes the schema of the pipeline only, under either name', async harness => {
  const [first, second] = [named('shop-a', 'b'), named('shop', 'a-b')]
  const kept = await startedBy030(harness, first)
  const own = await started(harness, second)
  const remove = async (pipeline: Pipeline) => {
    const removal = new PostgresRemoval(harness.options(pipeline))
    try {
      return [await removal.remove(), removal.name]
    } finally {
      await removal.close()
    }
  }
  const { database } = harness.address
  expect(await remove(second)).toEqual(['ours', `schema ${own} of database ${database}`])
  expect((await remove(second))[0]).toBe('absent')
  expect(await remove(first)).toEqual(['ours', `schema ${kept} of database ${database}`])
})
