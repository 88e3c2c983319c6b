/** Translates the errors of PostgreSQL and its client into ours. */
import pg from 'pg'
import { serverText } from '#common/redact.ts'
import { Fatal, Fenced, Rejected, Retryable } from '#processor/errors.ts'
import { poolerError, stateOf } from './pooler.ts'

/** The SQLSTATE that our function assert_rows raises. */
const FENCED = 'SP001'
const LOCK_NOT_AVAILABLE = '55P03'
const READ_ONLY = '25006'

/** SQLSTATE classes of data that PostgreSQL rejects. 54: an index row or a column is too large. */
const REFUSED_DATA = ['22', '23', '54']
/** SQLSTATE classes that may pass: connection, rollback by the server, resources, operator intervention, I/O. */
const PASSING = ['08', '40', '53', '57', '58']
const PASSING_CODES = [LOCK_NOT_AVAILABLE, READ_ONLY, '25P02', '25P03', '55006']

const CERTIFICATE = /CERT|SIGNATURE|ERR_TLS|ERR_SSL|does not support SSL/

export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

export const isLockTimeout = (error: unknown) => sqlState(error) === LOCK_NOT_AVAILABLE

/** Our function assert_rows has found another number of rows. */
export const isFenced = (error: unknown) => sqlState(error) === FENCED

/** The server rolled the transaction back; it may be sent again at once. */
export const isRolledBack = (error: unknown) => sqlState(error)?.startsWith('40') ?? false

/** The connection leads to a standby after a failover; a new connection may reach the primary. */
export const isReadOnly = (error: unknown) => sqlState(error) === READ_ONLY

/** Returns one of our errors; bugs (a TypeError, bad SQL) unchanged. `doing` completes "PostgreSQL error while …". */
export function storeError(error: unknown, doing: string): unknown {
  if (error instanceof pg.DatabaseError) return fromServer(error, doing)
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return error
  if (error instanceof Retryable || error instanceof Fenced || error instanceof Rejected || error instanceof Fatal)
    return error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const reason = serverText(error.message) || code || 'no connection'
  if (CERTIFICATE.test(`${code} ${error.message}`))
    return new Fatal('AccessDenied', `PostgreSQL error while ${doing}: ${reason}. Check spec.sinks.postgres.tls`, {
      cause: error,
    })
  return unavailable(`PostgreSQL error while ${doing}: ${reason}`, error)
}

/** The condition names PostgreSQL also where the caller waits for another server as well, as a projection does. */
const unavailable = (message: string, cause: Error) =>
  new Retryable(`${message}; retrying`, { condition: 'StoreUnavailable', cause })

function fromServer(error: pg.DatabaseError, doing: string): Error {
  const refused = poolerError(error, doing)
  if (refused) return refused
  const code = stateOf(error)
  const message = `PostgreSQL error while ${doing}: ${serverText(error.message)} (SQLSTATE ${code})`
  const options = { cause: error }
  if (code === FENCED) return new Fenced(error.message)
  if (REFUSED_DATA.includes(code.slice(0, 2))) return new Rejected(message, options)
  if (PASSING_CODES.includes(code) || PASSING.includes(code.slice(0, 2))) return unavailable(message, error)
  const advice = adviceOn(code)
  return advice ? new Fatal('AccessDenied', `${message}. ${advice}`, options) : error
}

function adviceOn(code: string): string | undefined {
  if (code.startsWith('28'))
    return 'Check usernameSecretRef, passwordSecretRef and tls.clientCertSecretRef of spec.sinks.postgres'
  if (code === '3D000') return 'Create the database, or correct spec.sinks.postgres.database'
  if (code === '42501')
    return 'Grant the user CREATE on the database, or make it the owner of the schema of spec.sinks.postgres.schema'
  return undefined
}
