/** Transactions that depend on no state of their connection, so that they also work through a pooler. */
import type pg from 'pg'
import { Retryable } from '#processor/errors.ts'

/** `statement`: replaces the time-out of statements, ms; 0 for none. `settings`: more parameters of PostgreSQL. */
export type Beginning = { isolation?: string; statement?: number; settings?: Record<string, string> }

type Limits = { statement: number; lock: number; idleInTransaction: number }

/**
 * Returns BEGIN and our settings as one statement, so that they cost no round trip. The settings end with the transaction,
 * and hold whatever the server, the database, the user or a pooler has set.
 */
export function beginning(timeouts: Limits, { isolation, statement, settings }: Beginning): string {
  const parameters = {
    statement_timeout: statement ?? timeouts.statement,
    lock_timeout: timeouts.lock,
    idle_in_transaction_session_timeout: timeouts.idleInTransaction,
    search_path: '',
    timezone: 'UTC',
    datestyle: 'ISO',
    jit: 'off', // compilation takes longer than our short statements
    ...settings,
  }
  const set = Object.entries(parameters).map(([name, value]) => `SET LOCAL ${name} = '${value}'`)
  return [`BEGIN ISOLATION LEVEL ${isolation ?? 'READ COMMITTED'}`, ...set].join('; ')
}

/**
 * Sends a whole transaction in one write and waits for all answers. Rejects with the first failure, because later ones
 * only say that the transaction is aborted. Resolves with the results of `queries` once COMMIT is acknowledged.
 */
export async function sendTransaction(
  session: pg.ClientBase,
  begin: string,
  queries: (string | pg.QueryConfig)[],
): Promise<pg.QueryResult[]> {
  const { stream } = (session as pg.Client).connection
  stream.cork()
  const answers = [begin, ...queries, 'COMMIT'].map(query => session.query(query))
  stream.uncork()
  const settled = await Promise.allSettled(answers)
  const failed = settled.find(answer => answer.status === 'rejected')
  if (failed) throw failed.reason
  const results = settled.map(answer => (answer as PromiseFulfilledResult<pg.QueryResult>).value)
  const last = results.pop()!
  if (last.command !== 'COMMIT')
    throw new Retryable(`PostgreSQL did not commit the transaction: it answered COMMIT with ${last.command}; retrying`)
  return results.slice(1)
}
