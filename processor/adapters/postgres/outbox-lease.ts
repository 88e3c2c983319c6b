/**
 * The lease on the outbox: one row, because behind a pooler no session could hold a lock. It lets one worker at a time write
 * to the sink. Confirmations do not depend on that, but on the token:
 *
 * - Each take stores a new token in the transaction that reads the entries. So a state of the database with this token,
 *   also one after a failover or a restore, has these entries under these sequence numbers.
 * - The transaction that confirms checks the token. If it is another one, nothing is confirmed, and the rows are taken again.
 */
import { randomUUID } from 'node:crypto'
import type { Connections, Session } from './connections.ts'
import { isRolledBack } from './errors.ts'
import type { Table } from './outbox-statements.ts'

/** Renewed in time although a renewal or two fails. */
const RENEWALS = 4
/** Takes may fail for hours. A forgotten token only means that this worker, too, waits until the lease ends. */
const MAX_TOKENS = 10

/** A token that is lost in a crash only makes another take necessary, so nothing waits for the disk or for a standby. */
const UNHURRIED = { settings: { synchronous_commit: 'off' } }
const SNAPSHOT = { isolation: 'REPEATABLE READ', ...UNHURRIED }

export function leaseStatements(t: Table) {
  const lease = t('outbox.lease')
  const ended = (ms: string) =>
    `renewed_at NOT BETWEEN clock_timestamp() - ${ms} * interval '1 millisecond' AND clock_timestamp()`
  return {
    /** $1 new token, $2 tokens of this worker, $3 ms. The clock may be behind that of a former primary. */
    acquireLease: `
      WITH free AS (
        SELECT FROM ${lease} WHERE token IS NULL OR token = ANY ($2::text[]) OR ${ended('$3')} FOR UPDATE SKIP LOCKED)
      UPDATE ${lease} SET token = $1, renewed_at = clock_timestamp() WHERE EXISTS (SELECT FROM free)`,
    /** $1 token. */
    renewLease: `UPDATE ${lease} SET renewed_at = clock_timestamp() WHERE token = $1`,
    /** $1 tokens of this worker. */
    releaseLease: `UPDATE ${lease} SET token = NULL, renewed_at = clock_timestamp() WHERE token = ANY ($1::text[])`,
    /** $1 token. Releases the lease, or raises SP001 if the token is another one. */
    fenceLease: `
      WITH released AS (UPDATE ${lease} SET token = NULL, renewed_at = clock_timestamp() WHERE token = $1 RETURNING 1)
      SELECT ${t('assert_rows')}((SELECT count(*) FROM released), 1)`,
  }
}

export type LeaseContext = {
  connections: Connections
  statements: ReturnType<typeof leaseStatements>
}

export class OutboxLease {
  readonly #context: LeaseContext
  /** Those that the row may have: of takes that were not confirmed, or whose outcome is unknown. */
  #tokens: string[] = []
  #renewing: NodeJS.Timeout | undefined

  constructor(context: LeaseContext) {
    this.#context = context
  }

  /** Whether a take of this worker may still hold the lease. */
  get isHeld(): boolean {
    return this.#tokens.length > 0
  }

  /** Resolves with the token and what `read` has read, or with null if another worker holds the lease. */
  async take<T>(read: (session: Session) => Promise<T>): Promise<{ token: string; result: T } | null> {
    const { connections, statements } = this.#context
    const token = randomUUID()
    this.#stopRenewing()
    this.#tokens = [...this.#tokens, token].slice(-MAX_TOKENS)
    try {
      const taken = await connections.transaction(async session => {
        const values = [token, this.#tokens, connections.timeouts.lease]
        const { rowCount } = await session.query(statements.acquireLease, values)
        return rowCount === 1 ? { token, result: await read(session) } : null
      }, SNAPSHOT)
      this.#tokens = taken ? [token] : []
      if (taken) this.#keepRenewing(token)
      return taken
    } catch (error) {
      if (isRolledBack(error)) return null // another worker has changed the row since the snapshot
      throw error
    }
  }

  /** Call after the transaction that fences this lease has committed. */
  released(): void {
    this.#stopRenewing()
    this.#tokens = []
  }

  /** Releases the lease, so that another worker need not wait until it ends. */
  async release(): Promise<void> {
    const { connections, statements } = this.#context
    const tokens = this.#tokens
    this.released()
    if (tokens.length > 0) await connections.query(statements.releaseLease, [tokens], UNHURRIED)
  }

  #keepRenewing(token: string): void {
    const { connections, statements } = this.#context
    // If a renewal fails, the confirmation or the next take reports why.
    const renew = () => void connections.query(statements.renewLease, [token], UNHURRIED).catch(() => {})
    this.#renewing = setInterval(renew, connections.timeouts.lease / RENEWALS).unref()
  }

  #stopRenewing(): void {
    clearInterval(this.#renewing)
  }
}
