/**
 * Connections to PostgreSQL: one pipelined connection only for commits and a small pool for everything else, so that a
 * commit never waits for housekeeping. A lost connection is replaced when it is next needed.
 */
import pg from 'pg'
import type { PostgresConnection } from '#common/store-connections.ts'

/** All in ms. */
export type Timeouts = {
  statement: number
  lock: number
  /** Below the group's session time-out, so that a stopped worker's locks are released before its partitions move. */
  idleInTransaction: number
  /** A server that has not answered after this time counts as unreachable. */
  answer: number
  connect: number
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  statement: 10_000,
  lock: 2_000,
  idleInTransaction: 2_500,
  answer: 30_000,
  connect: 5_000,
}

const KEEPALIVE_AFTER_MS = 5_000
/** For the projector, claims, inspections and upkeep. */
const POOL_SIZE = 4

/** Parses int8 as a number: offsets, counters and milliseconds are far below 2^53. Versions are read as text. */
const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, Number)

export type Session = pg.ClientBase

export class Connections {
  readonly #config: pg.ClientConfig
  readonly #pool: pg.Pool
  #committer: Promise<pg.Client> | null = null
  #closed = false

  constructor(connection: PostgresConnection, applicationName: string, timeouts: Timeouts) {
    this.#config = configOf(connection, applicationName, timeouts)
    this.#pool = new pg.Pool({ ...this.#config, max: POOL_SIZE })
    // A lost connection fails the query that uses it. Without a listener it would also end the process.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', client => client.on('error', () => {}))
  }

  /** Returns the connection for commits; connects if there is none. */
  committer(): Promise<pg.Client> {
    this.#committer ??= this.#connectCommitter()
    return this.#committer
  }

  async #connectCommitter(): Promise<pg.Client> {
    if (this.#closed) throw new Error('the store is closed')
    const client = new pg.Client({ ...this.#config, pipeline: true })
    const clearCommitter = () => {
      this.#committer = null
    }
    client.on('error', clearCommitter)
    client.on('end', clearCommitter)
    try {
      return await client.connect()
    } catch (error) {
      clearCommitter()
      throw error
    }
  }

  /** Closes the connection for commits after a read-only error; the next commit reconnects. */
  async dropCommitter(): Promise<void> {
    const client = this.#committer
    this.#committer = null
    await (await client)?.end()
  }

  query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<pg.QueryResult<Row>> {
    return this.session(session => session.query<Row>(text, values))
  }

  /** Runs `work` on a connection of the pool. Closes it after an error, because its state is then unknown. */
  async session<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  transaction<T>(work: (session: Session) => Promise<T>, isolation = 'READ COMMITTED'): Promise<T> {
    return this.session(async session => {
      await session.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      const result = await work(session)
      await session.query('COMMIT')
      return result
    })
  }

  /** Returns a connection for longer than one call, for example for a session lock. The caller must release it. */
  checkOut(): Promise<pg.PoolClient> {
    return this.#pool.connect()
  }

  /** Runs a transaction without statement time-outs on its own connection, for migrations and full projections. */
  async longTransaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...this.#config, statement_timeout: false, query_timeout: undefined })
    client.on('error', () => {})
    await client.connect()
    try {
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } finally {
      await client.end()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const committer = this.#committer
    this.#committer = null
    await Promise.allSettled([committer?.then(client => client.end()), this.#pool.end()])
  }
}

function configOf(connection: PostgresConnection, applicationName: string, timeouts: Timeouts): pg.ClientConfig {
  return {
    ...connection,
    ssl: connection.ssl ?? false,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    connectionTimeoutMillis: timeouts.connect,
    statement_timeout: timeouts.statement,
    lock_timeout: timeouts.lock,
    idle_in_transaction_session_timeout: timeouts.idleInTransaction,
    query_timeout: timeouts.answer,
    types,
    // JIT compilation takes longer than our short statements.
    options: '-c search_path= -c timezone=UTC -c datestyle=ISO -c jit=off',
  }
}
