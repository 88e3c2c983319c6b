/** Removes the pipeline's schema in PostgreSQL with everything in it, if this pipeline owns it. */
import { locateSchema } from '#common/schema-place.ts'
import type { SchemaNames } from '#pipeline/identity.ts'
import type { Belonging, StoredRows } from '#processor/ports.ts'
import { Connections, DEFAULT_TIMEOUTS, type Session } from './connections.ts'
import { isLockTimeout, storeError } from './errors.ts'
import { applicationPrefix, type PostgresStoreOptions } from './options.ts'
import { type FoundSchema, findSchema, lockSchema, outsideOwner } from './ownership.ts'
import { quoted, statementsOf } from './statements.ts'

export type PostgresRemovalOptions = Pick<PostgresStoreOptions, 'connection' | 'timeouts'> & { names: SchemaNames }

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
  readonly #options: PostgresRemovalOptions
  readonly #connections: Connections
  /** Located by each call, because it may have a former name. */
  #schema: string

  /** Does not connect yet. */
  constructor(options: PostgresRemovalOptions) {
    const { connection, names, timeouts } = options
    this.#options = options
    this.#connections = new Connections(connection, `sales-removal ${names.owner}`, {
      ...DEFAULT_TIMEOUTS,
      ...timeouts,
    })
    this.#schema = names.name
  }

  get name(): string {
    return `schema ${this.#schema} of database ${this.#options.connection.database}`
  }

  find(): Promise<Belonging> {
    return this.#guard('reading', () => this.#connections.transaction(session => this.#find(session)))
  }

  owner(): Promise<string> {
    return this.#guard('reading', () =>
      this.#connections.transaction(async session => {
        const found = await this.#locate(session)
        return outsideOwner(this.#options.names.owner, found?.ownerId ?? null)
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
    const found = await this.#locate(session)
    if (!found) return 'absent'
    return found.owner === this.#options.names.owner ? 'ours' : 'foreign'
  }

  /** Also locks the schema. */
  async #locate(session: Session): Promise<FoundSchema | null> {
    this.#schema = await locateSchema(text => session.query(text), this.#options.names)
    await lockSchema(session, this.#schema)
    return findSchema(session, statementsOf(this.#schema), this.#schema)
  }

  #remove(): Promise<Belonging> {
    return this.#connections.transaction(async session => {
      const belonging = await this.#find(session)
      if (belonging !== 'ours') return belonging
      await session.query(statementsOf(this.#schema).waitForStandby)
      await session.query(`DROP SCHEMA ${quoted(this.#schema)} CASCADE`)
      return belonging
    })
  }

  /** Resolves with true if it ended a connection. */
  async #endLockHolders(): Promise<boolean> {
    const { rows } = await this.#connections.query<{ ended: boolean }>(END_LOCK_HOLDERS, [
      this.#schema,
      applicationPrefix(this.#options.names.owner),
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
