import { createServer } from 'node:net'
import pg from 'pg'
import { describe, expect } from 'vitest'
import { Fatal, Retryable } from '#processor/errors.ts'
import { byStore, commitNext, pipelineOf, ready, retried, T0, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const relations = (harness: PostgresHarness) =>
  harness.query<{ name: string }>(
    'SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace ORDER BY 1',
    [pg.escapeIdentifier(harness.schema)],
  )

const connectionWith = (harness: PostgresHarness, change: object) => ({
  connection: { ...harness.options().connection, ...change },
})

describe('opening a schema', () => {
  test('opens a schema for many workers at once', async harness => {
    const workers = Array.from({ length: 6 }, () => harness.worker())
    // One waits for the others, on a busy machine for longer than the lock timeout: then a worker opens it again.
    const opened = await Promise.all(workers.map(worker => retried(() => worker.open(TOPIC))))
    expect(opened).toMatchObject(workers.map(() => ({ generation: 1, firstPartitions: 2, watermark: null })))
    const newer = pipelineOf(['allowedLateness: 30s', 'allowedLateness: 1s'])
    const generations = await Promise.all(
      [harness.worker(newer), harness.worker(newer)].map(worker => worker.open(TOPIC)),
    )
    expect(generations.map(o => o.generation)).toEqual([2, 2])
    expect(await harness.query('SELECT version FROM @migrations ORDER BY 1')).toEqual([
      { version: -9 },
      { version: -8 },
      { version: -7 },
      { version: -6 },
      { version: -5 },
      { version: -4 },
      { version: -3 },
      { version: -2 },
      { version: -1 },
      { version: 1 },
      { version: 2 },
    ])
  })

  test('stops a release that does not know of lines from counting them again', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, {}, { records: 0, nextLine: 3 })
    const advance = 'UPDATE @progress SET next_offset = next_offset + 1 WHERE partition = 0'
    await expect(harness.query(advance)).rejects.toThrow('counted_lines_of_next_record')
    await commitNext(store, claim, {}, { records: 1 })
    await harness.query(advance)
  })

  test('keeps the ids of expelled members for a week', async harness => {
    const [one, other] = [harness.workerWith({}), harness.workerWith({})]
    await Promise.all([one.open(TOPIC), other.open(TOPIC)])
    await one.expel('worker-1-abc')
    await one.expel('worker-1-abc')
    expect([await other.isExpelled('worker-1-abc'), await other.isExpelled('worker-1')]).toEqual([true, false])
    await harness.query(`UPDATE @expelled SET expelled_at = expelled_at - interval '8 days'`)
    await one.expel('worker-2-def')
    expect(await harness.query('SELECT member FROM @expelled')).toEqual([{ member: 'worker-2-def' }])
    await expect(harness.workerWith({}).expel('worker-3')).rejects.toThrow(Retryable)
  })

  test('refuses a schema of another pipeline', async harness => {
    await ready(harness)
    const other = harness.workerWith({ owner: 'shop/other' })
    await expect(other.open(TOPIC)).rejects.toMatchObject({
      code: 'SchemaOwnedByOther',
      message: expect.stringContaining('shop/sales'),
    })
  })

  test('refuses a schema with foreign tables, and leaves it unchanged', async harness => {
    await harness.query(`CREATE SCHEMA ${harness.schema}`)
    await harness.query('CREATE TABLE @pipeline (id int)')
    await expect(harness.worker().open(TOPIC)).rejects.toMatchObject({ code: 'SchemaOwnedByOther' })
    expect(await relations(harness)).toEqual([{ name: 'pipeline' }])
    await harness.query('DROP TABLE @pipeline')
    expect(await harness.worker().open(TOPIC)).toMatchObject({ generation: 1 })
  })

  test('lets release 0.3.0 open a schema again after a rollback, and opens it afterwards', async harness => {
    await ready(harness)
    // What 0.3.0 does: it compares the greatest version with 2, and registers what it does not find.
    expect(await harness.query('SELECT max(version) AS newest FROM @migrations')).toEqual([{ newest: 2 }])
    await harness.query(
      `INSERT INTO @aggregations (name, kind, identity, generation) VALUES ('old', 'aggregation', 'x', 1)`,
    )
    expect(await harness.worker().open(TOPIC)).toMatchObject({ generation: 1 })
  })

  test('refuses a schema that a newer release has migrated', async harness => {
    await ready(harness)
    await harness.query('INSERT INTO @migrations VALUES (99)')
    await expect(harness.worker().open(TOPIC)).rejects.toMatchObject({ code: 'SchemaTooNew' })
  })

  test('refuses an aggregation with the name of a table that a person created', async harness => {
    await ready(harness)
    await harness.query('CREATE TABLE @counted (id int)')
    const wider = pipelineOf([
      '    - name: totals',
      '    - { name: counted, measures: [{ name: orders, op: count }] }\n    - name: totals',
    ])
    await expect(harness.worker(wider).open(TOPIC)).rejects.toMatchObject({
      code: 'SchemaOwnedByOther',
      message: expect.stringContaining('counted'),
    })
    expect(await harness.query('SELECT max(generation) AS generation FROM @specs')).toEqual([{ generation: 1 }])
  })

  test('refuses a raw table whose fields have another meaning', async harness => {
    await ready(harness)
    const change: [string, string] = ['{ name: note, optional: true }', '{ name: note, path: remark, optional: true }']
    const others = pipelineOf(
      change,
      ['by_store\n      groupBy', 'by_store2\n      groupBy'],
      ['name: totals', 'name: totals2'],
      ['name: by_kind', 'name: by_kind2'],
      ['aggregation: by_store', 'aggregation: by_store2'],
    )
    await expect(harness.worker(others).open(TOPIC)).rejects.toMatchObject({
      code: 'AggregationChanged',
      message: expect.stringContaining('sales_raw'),
    })
  })

  test('accepts any name for schemas, tables and columns', async harness => {
    const pipeline = pipelineOf(
      [
        '{ name: online, type: boolean }',
        '{ name: select, type: boolean }\n      - { name: k }\n      - { name: value }',
      ],
      [
        'groupBy: [online, quantity]\n      measures: [{ name: orders',
        'groupBy: [select, k, value, quantity]\n      measures: [{ name: entry, op: count }, { name: rows, op: count }, { name: t',
      ],
      ['name: by_kind', 'name: user'],
      ['projections: [', 'projections: [{ aggregation: user, index: user }, '],
    )
    const schema = `odd"; DROP SCHEMA public; -- 'x`
    const store = harness.workerWith({ ...harness.options(pipeline), schema })
    await store.open(TOPIC)
    const claim = await store.claim(0, 0)
    const user = {
      aggregation: 2,
      windowStart: [T0, T0],
      keys: [
        ['true', 'true'],
        ['a', 'a'],
        ['b', 'c'],
        ['1', '1'],
      ],
      columns: [
        [4, 1],
        [5, 1],
        [6, 1],
      ],
    }
    await commitNext(store, claim, { aggregates: [user, byStore([T0, 'a', 1])] }, { maxEventTime: T0 + 10_000_000 })
    await store.renewIdle([await store.claim(1, 0)], 60_000)
    expect(await store.advance()).toMatchObject({ finalised: 3 })
    const documents = (await store.take(10))!.rows.filter(row => row.aggregation === 2).map(row => row.document!)
    expect(documents.find(d => d.value === 'b')).toMatchObject({
      select: true,
      k: 'a',
      quantity: '1',
      entry: 4,
      rows: 5,
      t: 6,
      final: true,
    })
    expect(documents).toHaveLength(2)
  })

  test('works with any settings of the database', async harness => {
    await harness.query(`ALTER DATABASE ${harness.address.database} SET timezone = 'Asia/Kathmandu'`)
    await harness.query(`ALTER DATABASE ${harness.address.database} SET datestyle = 'SQL, DMY'`)
    await harness.query(`ALTER DATABASE ${harness.address.database} SET default_transaction_isolation = 'serializable'`)
    await harness.query(`ALTER DATABASE ${harness.address.database} SET search_path = 'nowhere'`)
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    expect((await store.take(1))!.rows[0]!.document).toMatchObject({ '@timestamp': '2026-01-15T10:00:00.000Z' })
  })
})

describe('access to PostgreSQL', () => {
  test('reports denied access with what to change, without the password', async harness => {
    const password = 'not-the-password-8472'
    const error = await harness
      .workerWith(connectionWith(harness, { password }))
      .open(TOPIC)
      .catch(e => e)
    expect(error).toBeInstanceOf(Fatal)
    expect(error).toMatchObject({ code: 'AccessDenied', message: expect.stringContaining('passwordSecretRef') })
    expect(JSON.stringify([error.message, error.stack, error, error.cause])).not.toContain(password)
    await expect(
      harness.workerWith(connectionWith(harness, { database: 'missing' })).open(TOPIC),
    ).rejects.toMatchObject({ code: 'AccessDenied', message: expect.stringContaining('Create the database') })
  })

  test('reports a missing permission to create the schema', async harness => {
    const user = `limited_${harness.address.database}`
    await harness.query(`CREATE ROLE ${user} LOGIN PASSWORD 'limited'`)
    const limited = harness.workerWith(connectionWith(harness, { user, password: 'limited' }))
    await expect(limited.open(TOPIC)).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('Grant'),
    })
    await harness.query(`CREATE SCHEMA ${harness.schema} AUTHORIZATION ${user}`)
    expect(await limited.open(TOPIC)).toMatchObject({ generation: 1 })
  })

  test('refuses a server without TLS if the spec requires it', async harness => {
    await expect(harness.workerWith(connectionWith(harness, { ssl: {} })).open(TOPIC)).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('tls'),
    })
  })

  test('fails with Retryable when no server listens', async harness => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await new Promise(resolve => server.close(resolve))
    await expect(harness.workerWith(connectionWith(harness, { port })).open(TOPIC)).rejects.toThrow(Retryable)
    await expect(
      harness.workerWith(connectionWith(harness, { host: 'no-such-host.invalid' })).open(TOPIC),
    ).rejects.toThrow(Retryable)
  })
})
