import pg from 'pg'
import { expect, it } from 'vitest'
import { storeError } from '#processor/adapters/postgres/errors.ts'

const pgbouncer = (message: string) =>
  storeError(Object.assign(new pg.DatabaseError(message, 1, 'error'), { code: '08P01' }), 'opening the schema')

it.each([
  ['transaction blocks not allowed in statement pooling mode', 'PoolerUnsupported', 'Set pool_mode = transaction'],
  ['unsupported startup parameter: lock_timeout', 'PoolerUnsupported', 'Unset PGOPTIONS'],
  ['SASL authentication failed', 'AccessDenied', 'passwordSecretRef'],
  ['no such user: sales', 'AccessDenied', 'usernameSecretRef'],
  ['no such database: shop', 'AccessDenied', 'Create the database'],
  ['database "shop" does not exist', 'AccessDenied', 'Create the database'],
])('reports PgBouncer’s error "%s" with what to do', (message, code, advice) => {
  const error = pgbouncer(message)
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
  expect(error).toMatchObject({ message: expect.stringContaining(advice) })
})

it.each(['no more connections allowed (max_client_conn)', 'server conn crashed?', 'query_wait_timeout'])(
  'retries after PgBouncer’s error "%s"',
  message => expect(pgbouncer(message)).toMatchObject({ name: 'Retryable', message: expect.stringContaining(message) }),
)

it.each([
  ['refuses connections', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })],
  ['shuts down', Object.assign(new pg.DatabaseError('terminating connection', 1, 'error'), { code: '57P01' })],
])('names PostgreSQL as the cause when it %s, also to a caller that waits for another server', (_when, error) =>
  expect(storeError(error, 'counting the outbox')).toMatchObject({ condition: 'StoreUnavailable' }),
)
