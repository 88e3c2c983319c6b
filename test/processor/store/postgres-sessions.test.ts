/** What poolers require of connections. test/root has the same with a real pooler. */
import { expect } from 'vitest'
import { byStore, commitOf, T0, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { NetworkProxy } from './proxy.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

/** Opens a worker whose writes to PostgreSQL are recorded. */
async function recorded(harness: PostgresHarness) {
  const proxy = await NetworkProxy.before(harness.address)
  const options = harness.options()
  const store = harness.workerWith({ ...options, connection: { ...options.connection, port: proxy.port } })
  await store.open(TOPIC)
  return { proxy, store }
}

const SETTINGS =
  /BEGIN ISOLATION LEVEL [A-Z ]+; SET LOCAL statement_timeout = '\d+'; SET LOCAL lock_timeout = '2000'; SET LOCAL idle_in_transaction_session_timeout = '2500'; SET LOCAL search_path = ''/

/** PostgreSQL's protocol 3.0, which begins a connection's first message. */
const STARTUP = '\0\u0003\0\0user\0'

test('connects with no parameter that a pooler refuses', async harness => {
  const { proxy, store } = await recorded(harness)
  await store.claim(0, 100)
  const startups = proxy.sent.filter(text => text.includes(STARTUP))
  expect(startups.length).toBeGreaterThan(1)
  for (const startup of startups) {
    const names = startup
      .slice(startup.indexOf('user\0'))
      .split('\0')
      .filter((_, i) => i % 2 === 0)
    expect(names.filter(Boolean)).toEqual(['user', 'database', 'application_name', 'client_encoding'])
  }
  await proxy.close()
})

test('sends every statement in a transaction with our settings, a single one with BEGIN and COMMIT', async harness => {
  const { proxy, store } = await recorded(harness)
  const claim = await store.claim(0, 100)
  proxy.sent.length = 0
  await store.positions()
  await store.commit(commitOf(claim, { aggregates: [byStore([T0, 'a', 1])] }))
  await store.pending()
  await store.confirm((await store.take(10))!, [])
  await store.advance()
  expect(proxy.sent.filter(text => /SELECT partition, next_offset/.test(text))).toEqual([
    expect.stringMatching(/BEGIN.*SELECT partition, next_offset.*COMMIT/s),
  ])
  const begun = proxy.sent.filter(text => text.includes('BEGIN'))
  expect(begun.length).toBeGreaterThan(5)
  for (const text of begun) expect(text).toMatch(SETTINGS)
  // Whatever follows BEGIN in a later write ends with COMMIT before the next BEGIN.
  const order = proxy.sent.join('').match(/BEGIN ISOLATION|COMMIT\0/g)!
  expect(order.every((word, i) => word === (i % 2 === 0 ? 'BEGIN ISOLATION' : 'COMMIT\0'))).toBe(true)
  await proxy.close()
})
