/**
 * Connections to PostgreSQL: one connection only for commits and a small pool for everything else, so that a commit never
 * waits for housekeeping. A lost connection is replaced when it is next needed.
 *
 * Between us and the server there may be a pooler that gives each transaction another server connection. So a connection
 * keeps no state, and every statement runs in a transaction that begins with our settings.
 */
import pg from 'pg'
import type { PostgresConnection } from '#common/store-connections.ts'
import { type Beginning, beginning, sendTransaction } from './transaction.ts'

/** All in ms. */
export type Timeouts = {
  statement: number
  lock: number
  /** Below the group's session time-out, so that a stopped worker's locks are released before its partitions move. */
  idleInTransaction: number
  /** A server that has not answered after this time counts as unreachable. */
  answer: number
  connect: number
  /** How long another worker's projector waits for one that has disappeared. */
  lease: number
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  statement: 10_000,
  lock: 2_000,
  idleInTransaction: 2_500,
  answer: 30_000,
  connect: 5_000,
  lease: 6_000,
}

const KEEPALIVE_AFTER_MS = 5_000
/** For the projector, claims, inspections and upkeep. */
const POOL_SIZE = 4

/** Parses int8 as a number: offsets, counters and milliseconds are far below 2^53. Versions are read as text. */
const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, Number)

export type Session = pg.ClientBase

/** `backendPid` is null behind a pooler: the server connections then belong to nobody, and forget named statements. */
export type Committer = { client: pg.Client; backendPid: number | null }

export class Connections {
  readonly #config: pg.ClientConfig
  readonly timeouts: Timeouts
  readonly #pool: pg.Pool
  #committer: Promise<Committer> | null = null
  #closed = false

  constructor(connection: PostgresConnection, applicationName: string, timeouts: Timeouts) {
    this.#config = configOf(connection, applicationName, timeouts)
    this.timeouts = timeouts
    this.#pool = new pg.Pool({ ...this.#config, max: POOL_SIZE })
    // A lost connection fails the query that uses it. Without a listener it would also end the process.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', client => client.on('error', () => {}))
  }

  /** Returns the connection for commits; connects if there is none. */
  committer(): Promise<Committer> {
    this.#committer ??= this.#connectCommitter()
    return this.#committer
  }

  async #connectCommitter(): Promise<Committer> {
    if (this.#closed) throw new Error('the store is closed')
    const client = new pg.Client(this.#config)
    const clearCommitter = () => {
      this.#committer = null
    }
    client.on('error', clearCommitter)
    client.on('end', clearCommitter)
    try {
      await client.connect()
      return { client, backendPid: await backendPid(client) }
    } catch (error) {
      clearCommitter()
      void client.end()
      throw error
    }
  }

  /** Closes the connection for commits after a read-only error; the next commit reconnects. */
  async dropCommitter(): Promise<void> {
    const client = this.#committer
    this.#committer = null
    await (await client)?.client.end()
  }

  /** Returns the statement that begins a transaction with our settings. */
  begin(options: Beginning = {}): string {
    return beginning(this.timeouts, options)
  }

  /** Runs one statement as a transaction, in one round trip. */
  query<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    options: Beginning = {},
  ): Promise<pg.QueryResult<Row>> {
    return this.send([{ text, values }], options).then(([result]) => result as pg.QueryResult<Row>)
  }

  /** Runs statements as one transaction, in one round trip. */
  send(queries: pg.QueryConfig[], options: Beginning = {}): Promise<pg.QueryResult[]> {
    return this.#session(session => sendTransaction(session, this.begin(options), queries))
  }

  /** Runs `work` on a connection of the pool. Closes it after an error, because its state is then unknown. */
  async #session<T>(work: (session: Session) => Promise<T>): Promise<T> {
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

  transaction<T>(work: (session: Session) => Promise<T>, options: Beginning = {}): Promise<T> {
    return this.#session(async session => {
      await session.query(this.begin(options))
      const result = await work(session)
      await session.query('COMMIT')
      return result
    })
  }

  /** Runs a transaction without statement time-outs on its own connection, for migrations and full projections. */
  async longTransaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...this.#config, query_timeout: undefined })
    client.on('error', () => {})
    await client.connect()
    try {
      await client.query(this.begin({ statement: 0 }))
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
    await Promise.allSettled([committer?.then(({ client }) => client.end()), this.#pool.end()])
  }
}

/**
 * Resolves with null behind a pooler, which invents the process id that the client knows, so that it can pass on requests
 * to cancel a statement.
 */
async function backendPid(client: pg.Client): Promise<number | null> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const { pid } = rows[0]!
  return (client as { processID?: number }).processID === pid ? pid : null
}

/** Poolers refuse connections with parameters of PostgreSQL; the application's name is an exception. */
function configOf(connection: PostgresConnection, applicationName: string, timeouts: Timeouts): pg.ClientConfig {
  return {
    ...connection,
    ssl: connection.ssl ?? false,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    connectionTimeoutMillis: timeouts.connect,
    query_timeout: timeouts.answer,
    pipeline: true,
    types,
  }
}
