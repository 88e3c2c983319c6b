import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { Claim } from '#processor/core/claim.ts'
import type { Commit } from '#processor/core/commit.ts'
import { Fenced, Retryable } from '#processor/errors.ts'
import { ownPostgres } from '#test/support/services.ts'
import { byStore, commitNext, commitOf, letter, ready, retried, T0, TOPIC, type Worker } from './fixture.ts'
import { freshPostgres, harnessOn, type PostgresHarness } from './postgres-harness.ts'
import { NetworkProxy } from './proxy.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

/** Resolves once `condition` holds. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 10))
}

/** Opens a worker that connects to PostgreSQL through a proxy. */
async function proxied(
  harness: PostgresHarness,
  timeouts = {},
): Promise<{ proxy: NetworkProxy; store: Worker; claim: Claim }> {
  const proxy = await NetworkProxy.before(harness.address)
  const options = harness.options()
  const store = harness.workerWith({ ...options, connection: { ...options.connection, port: proxy.port }, timeouts })
  await store.open(TOPIC)
  return { proxy, store, claim: await store.claim(0, 100) }
}

/** Opens a connection that is not a worker's. */
async function connectAs(
  harness: PostgresHarness,
  applicationName: string,
): Promise<pg.Client & { ended: Promise<void> }> {
  const client = new pg.Client({ ...harness.address, application_name: applicationName })
  const ended = new Promise<void>(resolve => client.once('end', resolve))
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { ended })
}

const lockPartition0 = (harness: PostgresHarness) =>
  `BEGIN; SELECT FROM "${harness.schema}".progress WHERE partition = 0 FOR UPDATE`

type Sale = [start: number, store: string, amount: number]

/** Connections of this test's workers; other tests use other databases of the same server. */
const WORKER_CONNECTIONS = `FROM pg_stat_activity WHERE application_name LIKE 'sales %' AND datname = current_database()`

const storedOrders = async (harness: PostgresHarness) => Number((await harness.rows('by_store'))[0]?.values.orders ?? 0)

describe('commits to PostgreSQL', () => {
  test('sends a commit, including COMMIT, in one write', async harness => {
    const { proxy, store, claim } = await proxied(harness)
    proxy.sent.length = 0
    await store.commit(commitOf(claim, { aggregates: [byStore([T0, 'a', 1])], dead: [letter(100)] }))
    const writes = proxy.sent.filter(text => text.includes('BEGIN') || text.includes('COMMIT'))
    expect(writes).toHaveLength(1)
    expect(writes[0]).toMatch(/BEGIN.*advance-progress.*insert-dead.*COMMIT/s)
    await proxy.close()
  })

  test('finds a commit whose answer was lost', async harness => {
    const { proxy, store, claim } = await proxied(harness)
    const commit = commitOf(claim, { aggregates: [byStore([T0, 'a', 1])] })
    proxy.mode = 'swallow'
    const outcome = store.commit(commit).catch(error => error)
    await until(async () => (await harness.progress(0)).nextOffset === 110)
    proxy.cut()
    expect(await outcome).toBeInstanceOf(Retryable)
    expect(await retried(() => store.inspect([0]))).toMatchObject([
      { epoch: claim.epoch, token: claim.token, nextOffset: 110 },
    ])
    await expect(store.commit(commit)).rejects.toThrow(Fenced)
    expect(await storedOrders(harness)).toBe(1)
    await proxy.close()
  })

  test('accepts a commit again that never arrived', async harness => {
    const { proxy, store, claim } = await proxied(harness)
    const commit = commitOf(claim, { aggregates: [byStore([T0, 'a', 1])] })
    proxy.mode = 'stall'
    const outcome = store.commit(commit).catch(error => error)
    await until(async () => proxy.sent.at(-1)!.includes('COMMIT'))
    proxy.cut()
    expect(await outcome).toBeInstanceOf(Retryable)
    expect(await retried(() => store.inspect([0]))).toMatchObject([{ nextOffset: 100 }])
    await store.commit(commit)
    expect(await storedOrders(harness)).toBe(1)
    await proxy.close()
  })

  test('times out when the server does not answer a commit, and reconnects for the next one', async harness => {
    const { proxy, store, claim } = await proxied(harness, { answer: 300 })
    proxy.mode = 'stall'
    await expect(store.commit(commitOf(claim))).rejects.toThrow(Retryable)
    proxy.mode = 'pass'
    expect(await retried(() => store.inspect([0]))).toMatchObject([{ nextOffset: 100 }])
    await commitNext(store, claim)
    await proxy.close()
  })

  test('writes nothing and fails with Retryable when a commit waits too long for a lock', async harness => {
    await harness.worker().open(TOPIC)
    const store = harness.workerWith({ timeouts: { lock: 100 } })
    await store.open(TOPIC)
    const claim = await store.claim(0, 100)
    const holder = await connectAs(harness, 'psql')
    await holder.query(lockPartition0(harness))
    await expect(store.commit(commitOf(claim))).rejects.toThrow(Retryable)
    await expect(store.inspect([0])).rejects.toThrow(Retryable)
    await holder.end()
    await commitNext(store, claim)
  })

  test('reconnects after its backend was terminated', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim)
    const ended = await harness.query(`SELECT pg_terminate_backend(pid, 5000) ${WORKER_CONNECTIONS}`)
    expect(ended.length).toBeGreaterThan(1)
    await retried(() => commitNext(store, claim))
    expect(await store.inspect([0])).toMatchObject([{ nextOffset: 120 }])
  })

  test('accepts dead records however broken they are', async harness => {
    const { store, claim } = await ready(harness)
    const headers: [string, string][] = [['nul\0', 'lone \ud800']]
    const times = [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 63, -(2 ** 63), -1]
    await commitNext(store, claim, {
      dead: times.map((recordTimestamp, i) => letter(100 + i, { headers, recordTimestamp })),
    })
    expect((await harness.dead())[0]!.headers).toEqual([['nul\uFFFD', 'lone \uFFFD']])
    expect(await harness.dead()).toHaveLength(5)
  })
})

describe('several workers on PostgreSQL', () => {
  test('avoids deadlocks while workers commit, finalise and reopen overlapping rows in any order', async harness => {
    const { store, claim } = await ready(harness)
    const other = harness.worker()
    await other.open(TOPIC)
    const second = await other.claim(1, 0)
    const rows = Array.from({ length: 400 }, (_, i): Sale => [T0 + (i % 3) * 60_000, `store-${i}`, 1])
    let finalised = 0
    let commits = 0
    let committing = true
    const run = async (worker: Worker, owned: Claim, sales: Sale[]) => {
      // Runs until rows were finalised, reopened by a commit and finalised again.
      for (let i = 0; i < 25 || finalised <= 400; i++, commits++)
        await commitNext(worker, owned, { aggregates: [byStore(...sales)] }, { maxEventTime: T0 + 3_600_000 })
    }
    const upkeep = (async () => {
      while (committing) finalised += (await store.advance())!.finalised
    })()
    await Promise.all([run(store, claim, rows), run(other, second, rows.toReversed())])
    committing = false
    await upkeep
    const stored = await harness.rows('by_store')
    expect(stored).toHaveLength(400)
    expect(stored.every(row => row.values.orders === String(commits))).toBe(true)
    await Promise.all([store.close(), other.close()]) // a backend reports its deadlocks when it exits
    await until(async () => (await harness.query(`SELECT ${WORKER_CONNECTIONS}`)).length === 0)
    const deadlocks = await harness.query(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    )
    expect(deadlocks).toEqual([{ deadlocks: 0 }])
  })

  test('terminates the backend of a previous owner that locks a partition, and no other', async harness => {
    await harness.worker().open(TOPIC)
    const store = harness.workerWith({ timeouts: { lock: 100 } })
    await store.open(TOPIC)
    const stuck = await connectAs(harness, 'sales shop/sales stopped-worker')
    await stuck.query(lockPartition0(harness))
    expect(await store.claim(0, 100)).toMatchObject({ epoch: 1 })
    await stuck.ended
    const person = await connectAs(harness, 'psql')
    await person.query(lockPartition0(harness))
    await expect(store.claim(0, 100)).rejects.toThrow(Retryable)
    expect((await person.query('SELECT 1 AS alive; COMMIT')) as never).toHaveLength(2)
    await person.end()
    expect(await store.claim(0, 100)).toMatchObject({ epoch: 2 })
  })

  test('leaves upkeep to the worker that holds the lease', async harness => {
    const { store } = await ready(harness)
    const other = await connectAs(harness, 'psql')
    await other.query(
      `BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('sales-pipeline upkeep ${harness.schema}', 0))`,
    )
    expect(await store.advance()).toBeNull()
    await other.end()
    await until(async () => (await store.advance()) !== null)
  })

  test('takes over the projection of a worker that is cut off, and lets it confirm nothing', async harness => {
    const { proxy, store, claim } = await proxied(harness, { lease: 500 })
    const other = harness.workerWith({ timeouts: { lease: 500 } })
    await other.open(TOPIC)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    const work = (await store.take(10))!
    await harness.elapse(1500)
    expect(await other.take(10), 'while the holder renews its lease').toBeNull()
    proxy.mode = 'stall'
    await until(async () => (await other.take(10)) !== null)
    proxy.cut()
    await expect(store.confirm(work, [])).rejects.toBeInstanceOf(Retryable)
    await other.confirm((await other.take(10))!, [])
    expect(await other.take(10)).toBeNull()
    await proxy.close()
  })

  test('confirms nothing after a failover that lost the take', async harness => {
    const { store, claim } = await ready(harness)
    await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
    const [before] = await harness.query(`SELECT token FROM "${harness.schema}"."outbox.lease"`)
    const work = (await store.take(10))!
    // The state of a standby that has neither the take nor the entry, whose number another entry gets.
    await harness.query(`UPDATE "${harness.schema}"."outbox.lease" SET token = $1`, [before!.token])
    await expect(store.confirm(work, [])).rejects.toThrow(/lost the lease/)
    expect(await store.pending()).toBe(1)
  })
})

it('loses and duplicates nothing when PostgreSQL is killed repeatedly', async () => {
  const server = await ownPostgres('killed-postgres')
  const { host, port, user, password } = server
  await server.createDatabase('sales')
  const harness = await harnessOn({ host, port, user, password, database: 'sales', url: '' })
  const { store, claim } = await ready(harness)
  let failures = 0
  /** Commits like the committer, which inspects the progress when the outcome is unknown. */
  const commitSurely = async (commit: Commit): Promise<void> => {
    for (let sent = false; ; ) {
      try {
        if (sent) {
          const [row] = await store.inspect([0])
          if (row!.nextOffset === commit.partitions[0]!.nextOffset) return
        }
        sent = true
        return await store.commit(commit)
      } catch (error) {
        expect(error).toBeInstanceOf(Retryable)
        failures++
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
  }
  const killings = (async () => {
    for (let i = 0; i < 3; i++) {
      await new Promise(resolve => setTimeout(resolve, 300))
      await server.kill()
      await server.start()
    }
  })()
  let killing = true
  killings.finally(() => {
    killing = false
  })
  let commits = 0
  for (; killing || commits < 50; commits++) {
    const commit = commitOf(claim, { aggregates: [byStore([T0, 'a', 1])] }, { records: 1 })
    await commitSurely(commit)
    claim.nextOffset++
  }
  await killings
  expect(failures).toBeGreaterThan(0)
  const { rows } = (await retried(() => store.take(10)))!
  expect(rows[0]!.document!.orders).toBe(commits)
  expect(await retried(() => store.inspect([0]))).toMatchObject([{ nextOffset: 100 + commits }])
  await store.close()
  await server.stop()
})
