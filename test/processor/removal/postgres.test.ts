import pg from 'pg'
import { describe, expect } from 'vitest'
import { PostgresRemoval, type PostgresRemovalOptions } from '#processor/adapters/postgres/removal.ts'
import { Fatal, Retryable } from '#processor/errors.ts'
import { byStore, commitNext, commitOf, ready, T0, TOPIC } from '../store/fixture.ts'
import { freshPostgres, type PostgresHarness } from '../store/postgres-harness.ts'
import { NetworkProxy } from '../store/proxy.ts'
import { onFresh } from '../store/with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

/** Calls a removal that is created for this call and closed after it. */
async function removal<T>(
  harness: PostgresHarness,
  call: (removal: PostgresRemoval) => Promise<T>,
  changed: Partial<PostgresRemovalOptions> = {},
): Promise<T> {
  const opened = new PostgresRemoval({ ...harness.options(), ...changed })
  try {
    return await call(opened)
  } finally {
    await opened.close()
  }
}

const find = (harness: PostgresHarness, changed = {}) => removal(harness, r => r.find(), changed)
const remove = (harness: PostgresHarness, changed = {}) => removal(harness, r => r.remove(), changed)

const schemas = async (harness: PostgresHarness) =>
  (
    await harness.query<{ name: string }>(
      `SELECT nspname AS name FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')`,
    )
  ).map(({ name }) => name)

async function connected(harness: PostgresHarness, applicationName: string) {
  const client = new pg.Client({ ...harness.address, application_name: applicationName })
  const ended = new Promise<void>(resolve => client.once('end', resolve))
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { ended })
}

const readRows = (harness: PostgresHarness) => `BEGIN; SELECT FROM "${harness.schema}".by_store`

describe('PostgresRemoval', () => {
  test('removes the schema with everything in it, and then finds nothing', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    expect(await find(harness)).toBe('ours')
    expect(await remove(harness)).toBe('ours')
    expect(await schemas(harness)).toEqual([])
    expect(await find(harness)).toBe('absent')
    expect(await remove(harness)).toBe('absent')
  })

  test('leaves the schema of another pipeline alone', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    for (const call of [find, remove])
      expect(await call(harness, { names: { ...harness.options().names, owner: 'shop/other' } })).toBe('foreign')
    expect(await harness.rows('by_store')).toHaveLength(1)
  })

  test('leaves a schema alone that no pipeline created, whatever its tables are called', async harness => {
    await harness.query(`CREATE SCHEMA ${harness.schema}`)
    expect(await remove(harness)).toBe('foreign')
    await harness.query('CREATE TABLE @pipeline (id int)')
    await harness.query('CREATE TABLE @migrations (id int)')
    expect(await remove(harness)).toBe('foreign')
    await harness.query('INSERT INTO @pipeline VALUES (1)')
    expect(await remove(harness)).toBe('foreign')
    expect(await harness.query('SELECT id FROM @pipeline')).toEqual([{ id: 1 }])
  })

  test('removes a schema of any name, and no other schema', async harness => {
    const schema = `odd"; DROP SCHEMA public; -- 'x`
    await harness.workerWith({ schema }).open(TOPIC)
    await harness.worker().open(TOPIC)
    expect(await remove(harness, { names: { ...harness.options().names, name: schema } })).toBe('ours')
    expect(await schemas(harness)).toEqual([harness.schema])
  })

  test('ends the connection of a stopped worker that holds a lock, but waits for a person’s', async harness => {
    await ready(harness)
    const timeouts = { lock: 100 }
    const person = await connected(harness, 'psql')
    const stopped = await connected(harness, 'sales shop/sales stopped-worker')
    await stopped.query(readRows(harness))
    await person.query(readRows(harness))
    await expect(remove(harness, { timeouts })).rejects.toBeInstanceOf(Retryable)
    await stopped.ended
    await expect(remove(harness, { timeouts })).rejects.toThrow(/lock timeout/)
    await person.query('COMMIT')
    expect(await remove(harness, { timeouts })).toBe('ours')
    await person.end()
  })

  test('succeeds at the first call when only a stopped worker holds a lock', async harness => {
    await ready(harness)
    const stopped = await connected(harness, 'sales shop/sales stopped-worker')
    await stopped.query(readRows(harness))
    expect(await remove(harness, { timeouts: { lock: 100 } })).toBe('ours')
    await stopped.ended
    expect(await schemas(harness)).toEqual([])
  })

  test('waits for a worker that is opening the schema', async harness => {
    const opening = await connected(harness, 'psql')
    await opening.query(
      `BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('sales-pipeline open ${harness.schema}', 0))`,
    )
    for (const call of [find, remove])
      await expect(call(harness, { timeouts: { lock: 100 } })).rejects.toBeInstanceOf(Retryable)
    await opening.end()
    expect(await find(harness)).toBe('absent')
  })

  test('fails with Retryable while the server does not answer, and succeeds once it does', async harness => {
    await ready(harness)
    const proxy = await NetworkProxy.before(harness.address)
    const connection = { ...harness.options().connection, port: proxy.port }
    await removal(
      harness,
      async opened => {
        expect(await opened.find()).toBe('ours')
        proxy.mode = 'stall'
        for (const call of [() => opened.find(), () => opened.remove()])
          await expect(call()).rejects.toBeInstanceOf(Retryable)
        proxy.cut()
        expect(await opened.remove()).toBe('ours')
      },
      { connection, timeouts: { answer: 1000, connect: 1000 } },
    )
    await proxy.close()
  })

  test('reports what to change when access is denied, without the password', async harness => {
    await ready(harness)
    const user = `other_${harness.address.database}`
    await harness.query(`CREATE ROLE ${user} LOGIN PASSWORD 'limited'`)
    const { connection } = harness.options()
    const denied = { code: 'AccessDenied' }
    const limited = { connection: { ...connection, user, password: 'limited' } }
    await expect(find(harness, limited)).rejects.toMatchObject({ ...denied, message: expect.stringContaining('owner') })
    const error = await find(harness, { connection: { ...connection, password: 'not-the-password-8472' } }).catch(
      e => e,
    )
    expect(error).toBeInstanceOf(Fatal)
    expect(error).toMatchObject({ ...denied, message: expect.stringContaining('passwordSecretRef') })
    expect(JSON.stringify([error.message, error.stack, error, error.cause])).not.toContain('8472')
  })

  test('makes every call of a running worker fail, so that the schema is not created again', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    await remove(harness)
    const calls = [
      () => store.commit(commitOf(claim, { aggregates: [byStore([T0, 'a', 1])] })),
      () => store.inspect([0]),
      () => store.positions(),
      () => store.claim(0, 0),
      () => store.advance(),
      () => store.take(10),
    ]
    // These errors are not Retryable, so the worker exits.
    for (const call of calls)
      await expect(call()).rejects.toMatchObject({ code: expect.stringMatching(/42P01|3F000|42883/) })
    expect(await schemas(harness)).toEqual([])
  })
})
