/** Access of the roles in spec.sinks.postgres.readers, on a real PostgreSQL. */
import pg from 'pg'
import { expect } from 'vitest'
import { unique } from '#test/support/services.ts'
import { pipelineOf, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const PASSWORD = 'reader-of-a-test'
const quote = pg.escapeIdentifier

async function createRole(harness: PostgresHarness, name = unique('reader')): Promise<string> {
  await harness.query(`CREATE ROLE ${quote(name)} LOGIN PASSWORD '${PASSWORD}'`)
  return name
}

/** Returns a pipeline with these readers, and with the last `fewer` aggregations left out. */
function readBy(readers: string[], fewer = 0) {
  const pipeline = pipelineOf()
  const { spec } = pipeline
  const { sinks } = spec
  const aggregations = spec.aggregations.slice(0, spec.aggregations.length - fewer)
  return { ...pipeline, spec: { ...spec, aggregations, sinks: { ...sinks, postgres: { ...sinks.postgres, readers } } } }
}

async function opened(harness: PostgresHarness, pipeline: ReturnType<typeof readBy>) {
  const worker = harness.workerWith(harness.options(pipeline))
  await worker.open(TOPIC)
  return worker
}

/** Connects as the role and resolves with the relations of the schema that it can read. */
async function readableFor(harness: PostgresHarness, role: string): Promise<string[]> {
  const relations = await harness.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v', 'm') ORDER BY 1`,
    [quote(harness.schema)],
  )
  const client = new pg.Client({ ...harness.address, user: role, password: PASSWORD })
  await client.connect()
  try {
    const readable: string[] = []
    for (const { name } of relations) {
      const read = client.query(`SELECT * FROM ${quote(harness.schema)}.${quote(name)} LIMIT 1`)
      if (await read.then(() => true, isDenied)) readable.push(name)
    }
    return readable
  } finally {
    await client.end()
  }
}

function isDenied(error: unknown): false {
  if (error instanceof pg.DatabaseError && error.code === '42501') return false
  throw error
}

const RESULTS = ['by_kind', 'by_store', 'sales_raw', 'totals']

test('lets a reader read the results, and neither raw payloads nor progress', async harness => {
  const role = await createRole(harness, `${unique('a "role"')}; --`)
  const worker = await opened(harness, readBy([role]))
  expect(await readableFor(harness, role)).toEqual([])
  expect(await worker.grantReaders()).toBeNull()
  expect(await readableFor(harness, role)).toEqual(RESULTS)
})

test('lets a reader read the table of an added aggregation and a new view', async harness => {
  const role = await createRole(harness)
  const first = await opened(harness, readBy([role], 1))
  expect(await first.grantReaders()).toBeNull()
  expect(await readableFor(harness, role)).toEqual(RESULTS.filter(name => name !== 'by_kind'))
  await harness.query('CREATE VIEW @best AS SELECT store FROM @by_store')
  const second = await opened(harness, readBy([role]))
  expect(await second.grantReaders()).toBeNull()
  expect(await readableFor(harness, role)).toEqual(['best', ...RESULTS])
})

test('revokes access from a role that is no longer listed, and from no other role', async harness => {
  const [removed, kept, foreign] = [await createRole(harness), await createRole(harness), await createRole(harness)]
  await (await opened(harness, readBy([removed, kept]))).grantReaders()
  await harness.query(`GRANT USAGE ON SCHEMA ${quote(harness.schema)} TO ${quote(foreign)}`)
  await harness.query(`GRANT SELECT ON @totals TO ${quote(foreign)}`)
  expect(await (await opened(harness, readBy([kept]))).grantReaders()).toBeNull()
  expect(await readableFor(harness, removed)).toEqual([])
  expect(await readableFor(harness, kept)).toEqual(RESULTS)
  expect(await readableFor(harness, foreign)).toEqual(['totals'])
  // No privilege is left, so the role can be dropped.
  await harness.query(`DROP ROLE ${quote(removed)}`)
})

test('revokes access that somebody granted by hand before the role was listed', async harness => {
  const role = await createRole(harness)
  const worker = await opened(harness, readBy([role]))
  await harness.query(`GRANT USAGE ON SCHEMA ${quote(harness.schema)} TO ${quote(role)}`)
  for (const table of RESULTS) await harness.query(`GRANT SELECT ON @${table} TO ${quote(role)}`)
  await worker.grantReaders()
  await (await opened(harness, readBy([]))).grantReaders()
  expect(await readableFor(harness, role)).toEqual([])
})

test('names a role that does not exist, serves the others, and grants as soon as the role exists', async harness => {
  const [present, absent] = [await createRole(harness), unique('absent')]
  const worker = await opened(harness, readBy([absent, present]))
  expect(await worker.grantReaders()).toBe(
    `spec.sinks.postgres.readers: role "${absent}" does not exist. Create it in PostgreSQL (CREATE ROLE "${absent}" LOGIN), or remove it from the list`,
  )
  expect(await readableFor(harness, present)).toEqual(RESULTS)
  await createRole(harness, absent)
  expect(await worker.grantReaders()).toBeNull()
  expect(await readableFor(harness, absent)).toEqual(RESULTS)
})

test('keeps the privileges of its own user, listed or not', async harness => {
  const { user } = harness.address
  expect(await (await opened(harness, readBy([user]))).grantReaders()).toMatch(
    /owns the results.*Remove it from the list/,
  )
  await harness.query('UPDATE @pipeline SET readers = $1', [[user]])
  const worker = await opened(harness, readBy([]))
  expect(await worker.grantReaders()).toBeNull()
  const [acl] = await harness.query<{ acl: string }>(
    `SELECT relacl::text AS acl FROM pg_class WHERE oid = '@totals'::regclass`,
  )
  expect(acl).toEqual({ acl: null })
})

test('says what to do where the user of the pipeline does not own the schema, and serves other readers', async harness => {
  const user = await createRole(harness, unique('pipeline'))
  const [role, other] = [await createRole(harness), await createRole(harness)]
  const schema = quote(harness.schema)
  await harness.query(`CREATE SCHEMA ${schema}`)
  await harness.query(`GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${quote(user)}`)
  await harness.query(`GRANT USAGE ON SCHEMA ${schema} TO ${quote(other)}`)
  await harness.query(`GRANT EXECUTE ON FUNCTION pg_control_system() TO ${quote(user)}`)
  const connection = { ...harness.address, user, password: PASSWORD }
  const worker = harness.workerWith({ ...harness.options(readBy([role, other])), connection })
  await worker.open(TOPIC)
  expect(await worker.grantReaders()).toMatch(
    new RegExp(`must not change the access of "${role}" to .* Let the owner of schema .* grant or revoke USAGE on it`),
  )
  expect(await readableFor(harness, other)).toEqual(RESULTS)
  await harness.query(`GRANT USAGE ON SCHEMA ${schema} TO ${quote(role)}`)
  expect(await worker.grantReaders()).toBeNull()
  expect(await readableFor(harness, role)).toEqual(RESULTS)
})

test('changes nothing once every reader has access, so that workers can call it often', async harness => {
  const role = await createRole(harness)
  const worker = await opened(harness, readBy([role]))
  await worker.grantReaders()
  const versions = () =>
    harness.query(
      'SELECT xmin::text FROM pg_class WHERE oid = $1::regclass UNION ALL SELECT xmin::text FROM @pipeline',
      [`${quote(harness.schema)}.totals`],
    )
  const before = await versions()
  await worker.grantReaders()
  expect(await versions()).toEqual(before)
})

test('lets several workers grant at the same time', async harness => {
  const role = await createRole(harness)
  const workers = [await opened(harness, readBy([role])), await opened(harness, readBy([role]))]
  expect(await Promise.all(workers.map(worker => worker.grantReaders()))).toEqual([null, null])
  expect(await readableFor(harness, role)).toEqual(RESULTS)
})
