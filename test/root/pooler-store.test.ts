/** The store through PgBouncer. Fewer server connections than clients, so that each transaction may get another one. */
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { Connections, DEFAULT_TIMEOUTS } from '#processor/adapters/postgres/connections.ts'
import { PostgresRebuild } from '#processor/adapters/postgres/rebuild-on-demand.ts'
import { PostgresRemoval } from '#processor/adapters/postgres/removal.ts'
import { storedPipeline } from '#processor/adapters/postgres/stored-aggregations.ts'
import { Retryable } from '#processor/errors.ts'
import { storeContract } from '#test/processor/store/contract.ts'
import { byStore, commitNext, type Fresh, pipelineOf, ready, T0, TOPIC } from '#test/processor/store/fixture.ts'
import { harnessOn, type PostgresHarness } from '#test/processor/store/postgres-harness.ts'
import { onFresh } from '#test/processor/store/with-harness.ts'
import { type Pgbouncer, type PoolMode, startPgbouncer } from '#test/support/pgbouncer.ts'
import { type Database, postgres } from '#test/support/services.ts'

const SERVERS = 3
const poolers: Partial<Record<PoolMode, Promise<Pgbouncer>>> = {}

afterAll(() => Promise.all(Object.values(poolers).map(async pooler => (await pooler).stop())))

/** Resolves with a fresh database, and with its address behind a pooler. */
async function databases(mode: PoolMode): Promise<{ direct: Database; pooled: Database }> {
  const server = await postgres()
  // In session mode, each connection of a worker needs its own server connection.
  poolers[mode] ??= startPgbouncer(server, { mode, servers: mode === 'session' ? 40 : SERVERS })
  const { host, port } = await poolers[mode]
  const direct = await server.createDatabase()
  return { direct, pooled: { ...direct, host, port } }
}

/** The tests read the tables through a plain connection to the server; the workers use the pooler. */
const behind = (mode: PoolMode) => async (): Promise<PostgresHarness> => {
  const { direct, pooled } = await databases(mode)
  return harnessOn(direct, pooled)
}

storeContract('the PostgreSQL store behind PgBouncer in transaction mode', behind('transaction') as Fresh)
storeContract('the PostgreSQL store behind PgBouncer in session mode', behind('session') as Fresh)

const test = onFresh(behind('transaction')) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

describe('time-outs behind PgBouncer in transaction mode', () => {
  async function connected(timeouts: Partial<typeof DEFAULT_TIMEOUTS>) {
    const { direct, pooled } = await databases('transaction')
    const { url: _, ...connection } = pooled
    const connections = new Connections(connection, 'sales shop/sales a', { ...DEFAULT_TIMEOUTS, ...timeouts })
    return { direct, connections }
  }

  it('ends a statement outside of a transaction after our time-out', async () => {
    const { connections } = await connected({ statement: 300 })
    await expect(connections.query('SELECT pg_sleep(20)')).rejects.toThrow('statement timeout')
    await connections.close()
  })

  it('ends a statement of a transaction after our time-out, and not one of a long transaction', async () => {
    const { connections } = await connected({ statement: 300 })
    const sleep = (s: number) => (session: pg.ClientBase) => session.query(`SELECT pg_sleep(${s})`)
    await expect(connections.transaction(sleep(20))).rejects.toThrow('statement timeout')
    expect((await connections.longTransaction(sleep(1))).rowCount).toBe(1)
    await connections.close()
  })

  it('ends a wait for a lock after our time-out, in reads and in transactions', async () => {
    const { direct, connections } = await connected({ lock: 300 })
    const holder = new pg.Client(direct)
    await holder.connect()
    await holder.query('CREATE TABLE held ()')
    await holder.query('BEGIN; LOCK TABLE held')
    await expect(connections.query('SELECT FROM public.held')).rejects.toThrow('lock timeout')
    await expect(connections.transaction(session => session.query('SELECT FROM public.held'))).rejects.toThrow(
      'lock timeout',
    )
    await expect(connections.longTransaction(session => session.query('SELECT FROM public.held'))).rejects.toThrow(
      'lock timeout',
    )
    await holder.end()
    await connections.close()
  })

  it('ends a transaction that is idle for longer than our time-out', async () => {
    const { connections } = await connected({ idleInTransaction: 300 })
    const idle = connections.transaction(async session => {
      await new Promise(resolve => setTimeout(resolve, 2000))
      return session.query('SELECT 1')
    })
    await expect(idle).rejects.toThrow('connection')
    await connections.close()
  })

  test('ends the wait of a commit and of a claim for a lock', async harness => {
    await harness.worker().open(TOPIC)
    const store = harness.workerWith({ timeouts: { lock: 200 } })
    await store.open(TOPIC)
    const claim = await store.claim(0, 100)
    const holder = new pg.Client(harness.direct)
    await holder.connect()
    await holder.query(`BEGIN; SELECT FROM "${harness.schema}".progress WHERE partition = 0 FOR UPDATE`)
    await expect(commitNext(store, claim)).rejects.toThrow(Retryable)
    await expect(store.claim(0, 100)).rejects.toThrow(/lock timeout/)
    await holder.end()
  })

  test('terminates the backend of a stopped worker that locks a partition', async harness => {
    await harness.worker().open(TOPIC)
    const store = harness.workerWith({ timeouts: { lock: 200 } })
    await store.open(TOPIC)
    const stopped = new pg.Client({ ...harness.address, application_name: 'sales shop/sales stopped' })
    const lost = new Promise(resolve => stopped.on('error', resolve))
    await stopped.connect()
    await stopped.query(`BEGIN; SELECT FROM "${harness.schema}".progress WHERE partition = 0 FOR UPDATE`)
    expect(await store.claim(0, 100)).toMatchObject({ epoch: 1 })
    await lost
  })
})

describe('other programs behind PgBouncer in transaction mode', () => {
  test('stores no process id of a connection that other workers use, too', async harness => {
    const { store } = await ready(harness)
    await store.claim(1, 0)
    expect(await harness.query('SELECT DISTINCT backend_pid FROM @progress')).toEqual([{ backend_pid: null }])
  })

  test('rebuilds on demand, and sees that a worker runs', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    await store.confirm((await store.take(10))!, [])
    const options = harness.options(pipelineOf())
    const rebuild = new PostgresRebuild(options, new Set(['by-store']))
    await rebuild.begin()
    expect((await rebuild.progress()).rebuilds).toMatchObject([{ index: 'by-store', rows: 1, written: 0 }])
    await store.advance()
    expect((await rebuild.progress()).workers).toBeGreaterThan(0)
    await rebuild.close()
  })

  test('removes the schema, though a stopped worker locks a table', async harness => {
    await ready(harness)
    const stopped = new pg.Client({ ...harness.address, application_name: 'sales shop/sales stopped' })
    stopped.on('error', () => {})
    await stopped.connect()
    await stopped.query(`BEGIN; LOCK TABLE "${harness.schema}".outbox`)
    const removal = new PostgresRemoval({ ...harness.options(), timeouts: { lock: 300 } })
    expect(await removal.remove()).toBe('ours')
    expect(await removal.find()).toBe('absent')
    await removal.close()
  })
})

describe('a pooler that cannot work', () => {
  it('refuses a pooler in statement mode, with the reason', async () => {
    const { pooled } = await databases('statement')
    const harness = await harnessOn(pooled)
    const refused = {
      code: 'PoolerUnsupported',
      message: expect.stringMatching(/statement pooling mode.*Set pool_mode = transaction/),
    }
    const { connection, names, workerId } = harness.options()
    await expect(storedPipeline({ connection, names, workerId })).rejects.toMatchObject(refused)
    await expect(harness.worker().open(TOPIC)).rejects.toMatchObject(refused)
    await harness.close()
  })

  it('reports a pooler as a server that refuses the user or lacks the database', async () => {
    const { pooled } = await databases('transaction')
    const harness = await harnessOn(pooled)
    const open = (change: object) =>
      harness.workerWith({ connection: { ...harness.options().connection, ...change } }).open(TOPIC)
    await expect(open({ password: 'wrong' })).rejects.toMatchObject({ code: 'AccessDenied' })
    await expect(open({ user: 'nobody' })).rejects.toMatchObject({ code: 'AccessDenied' })
    await expect(open({ database: 'nothing' })).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('Create the database'),
    })
    await harness.close()
  })

  it('refuses a pooler that refuses a parameter, with the reason', async () => {
    const { pooled } = await databases('transaction')
    const harness = await harnessOn(pooled)
    process.env.PGOPTIONS = '-c geqo=off'
    try {
      await expect(harness.worker().open(TOPIC)).rejects.toMatchObject({
        code: 'PoolerUnsupported',
        message: expect.stringMatching(/unsupported startup parameter.*Unset PGOPTIONS/),
      })
    } finally {
      delete process.env.PGOPTIONS
    }
    await harness.close()
  })
})
