/** Removes the pipeline's schema in PostgreSQL with everything in it, if this pipeline owns it. */
import type { Belonging, StoredRows } from '#processor/ports.ts'
import { Connections, DEFAULT_TIMEOUTS, type Session } from './connections.ts'
import { isLockTimeout, storeError } from './errors.ts'
import { applicationPrefix, type PostgresStoreOptions } from './options.ts'
import { findSchema, lockSchema, outsideOwner } from './ownership.ts'
import { quoted, type Statements, statementsOf } from './statements.ts'

export type PostgresRemovalOptions = Pick<PostgresStoreOptions, 'connection' | 'schema' | 'owner' | 'timeouts'>

/**
 * Ends connections of the pipeline's stopped or lost workers that hold a lock in the schema: $1 schema, $2 start of
 * their names. The name of a removal's connection starts differently, so that two removals do not end each other.
 */
const END_LOCK_HOLDERS = `
  SELECT pg_terminate_backend(pid, 1000) AS ended FROM pg_stat_activity
  WHERE datname = current_database() AND starts_with(application_name, $2) AND pid IN (
    SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND l.granted)`

export class PostgresRemoval implements StoredRows {
  readonly name: string
  readonly #options: PostgresRemovalOptions
  readonly #connections: Connections
  readonly #statements: Statements

  /** Does not connect yet. */
  constructor(options: PostgresRemovalOptions) {
    const { connection, schema, owner, timeouts } = options
    this.name = `schema ${schema} of database ${connection.database}`
    this.#options = options
    this.#connections = new Connections(connection, `sales-removal ${owner}`, { ...DEFAULT_TIMEOUTS, ...timeouts })
    this.#statements = statementsOf(schema)
  }

  find(): Promise<Belonging> {
    return this.#guard('reading', () => this.#connections.transaction(session => this.#find(session)))
  }

  owner(): Promise<string> {
    return this.#guard('reading', () =>
      this.#connections.transaction(async session => {
        const found = await findSchema(session, this.#statements, this.#options.schema)
        return outsideOwner(this.#options.owner, found?.ownerId ?? null)
      }),
    )
  }

  remove(): Promise<Belonging> {
    return this.#guard('removing', async () => {
      try {
        return await this.#remove()
      } catch (error) {
        if (!isLockTimeout(error) || !(await this.#endLockHolders())) throw error
        return await this.#remove()
      }
    })
  }

  async close(): Promise<void> {
    await this.#connections.close()
  }

  async #find(session: Session): Promise<Belonging> {
    const { schema, owner } = this.#options
    await lockSchema(session, schema)
    const found = await findSchema(session, this.#statements, schema)
    if (!found) return 'absent'
    return found.owner === owner ? 'ours' : 'foreign'
  }

  #remove(): Promise<Belonging> {
    return this.#connections.transaction(async session => {
      const belonging = await this.#find(session)
      if (belonging !== 'ours') return belonging
      await session.query(this.#statements.waitForStandby)
      await session.query(`DROP SCHEMA ${quoted(this.#options.schema)} CASCADE`)
      return belonging
    })
  }

  /** Resolves with true if it ended a connection. */
  async #endLockHolders(): Promise<boolean> {
    const { schema, owner } = this.#options
    const { rows } = await this.#connections.query<{ ended: boolean }>(END_LOCK_HOLDERS, [
      schema,
      applicationPrefix(owner),
    ])
    return rows.some(row => row.ended)
  }

  async #guard<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storeError(error, `${doing} ${this.name}`)
    }
  }
}
