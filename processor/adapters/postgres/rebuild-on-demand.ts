/** Begins rebuilds for a person, beside the workers, which write the rows (docs/semantics.md, section 4). */
import { locateSchema } from '#common/schema-place.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { SchemaNames } from '#pipeline/identity.ts'
import { UserError } from '#pipeline/user-error.ts'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { RebuildProgress, RequestedRebuild } from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import { aggregateStatements } from './aggregate-statements.ts'
import { Connections, DEFAULT_TIMEOUTS, type Session } from './connections.ts'
import { storeError } from './errors.ts'
import { applicationPrefix, type PostgresStoreOptions } from './options.ts'
import { findSchema } from './ownership.ts'
import { rebuilds } from './rebuilds.ts'
import { projectionTarget, type Statements, statementsOf } from './statements.ts'

export type PostgresRebuildOptions = Pick<PostgresStoreOptions, 'connection' | 'compiled' | 'timeouts'> & {
  names: SchemaNames
}

/**
 * $1 start of the names of the workers' connections. Behind a pooler, a connection has the name of the last program that used
 * it, which may be this one. So the version of a row that a worker updates every second counts as well.
 */
const findWorkers = ({ table }: Statements) => `
  SELECT count(DISTINCT application_name)::int AS workers, (SELECT xmin::text FROM ${table('pipeline')}) AS version
  FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, $1)`

export class PostgresRebuild implements RequestedRebuild {
  readonly #options: PostgresRebuildOptions
  readonly #connections: Connections
  #schema: string
  #statements: Statements
  /** By aggregation. */
  readonly #indices: Map<string, string>
  #projections: [names: string[], targets: string[]] = [[], []]
  #version: string | null = null

  /** Does not connect yet. `indices`: those to rebuild, of the projections of the spec. */
  constructor(options: PostgresRebuildOptions, indices: ReadonlySet<string>) {
    const { connection, names, compiled, timeouts } = options
    this.#options = options
    this.#connections = new Connections(connection, `sales-rebuild ${names.owner}`, {
      ...DEFAULT_TIMEOUTS,
      ...timeouts,
    })
    this.#schema = names.name
    this.#statements = statementsOf(this.#schema)
    this.#indices = new Map([...projectionsOf(compiled)].filter(([, index]) => indices.has(index)).sort())
  }

  /** Marks the projections. The workers give all rows new versions and enqueue them. Throws a UserError. */
  begin(): Promise<void> {
    return this.#guard('beginning the rebuild', () =>
      this.#connections.longTransaction(async session => {
        await this.#findProjections(session)
        for (const name of this.#indices.keys())
          await session.query(beginningOf(this.#statements, this.#options, name), [name, true])
      }),
    )
  }

  progress(): Promise<RebuildProgress> {
    return this.#guard('reading the progress', async () => {
      const { compiled, names } = this.#options
      const context = { connections: this.#connections, statements: this.#statements, compiled }
      const found = await this.#connections.query<{ workers: number; version: string }>(findWorkers(this.#statements), [
        applicationPrefix(names.owner),
      ])
      const { workers, version } = found.rows[0]!
      const hasWorked = this.#version !== null && this.#version !== version
      this.#version = version
      return { rebuilds: await rebuilds(context, this.#projections), workers: Math.max(workers, hasWorked ? 1 : 0) }
    })
  }

  async close(): Promise<void> {
    await this.#connections.close()
  }

  /** Refuses a schema or a projection that the workers do not have, because they would not write its rows. */
  async #findProjections(session: Session): Promise<void> {
    const { names, connection } = this.#options
    const { owner } = names
    this.#schema = await locateSchema(text => session.query(text), names)
    this.#statements = statementsOf(this.#schema)
    const found = await findSchema(session, this.#statements, this.#schema)
    const where = `schema ${this.#schema} of database ${connection.database}`
    if (!found || found.relations.length === 0)
      throw new UserError(
        `${where} has no tables, so there are no rows to write. Check spec.sinks.postgres in the file, and that a worker of ${owner} has run`,
      )
    if (found.owner !== owner)
      throw new UserError(
        `${where} belongs to ${found.owner === null ? 'no pipeline' : `pipeline ${found.owner}`}, not to ${owner}. Correct metadata.name, metadata.namespace or spec.sinks.postgres.schema in the file`,
      )
    const { table } = this.#statements
    const { rows } = await session.query(`SELECT FROM ${table('migrations')} WHERE version = -2`)
    if (rows.length === 0 || found.ownerId === null)
      throw new UserError(
        `${where} was last opened by an older release, whose workers do not know rebuilds. Start a worker of this release, then run this command again`,
      )
    await this.#compareTargets(session, found.ownerId)
  }

  async #compareTargets(session: Session, ownerId: string): Promise<void> {
    const { rows } = await session.query<{ name: string; projection: string | null }>(
      `SELECT name, projection FROM ${this.#statements.table('aggregations')} WHERE kind = 'aggregation'`,
    )
    const stored = new Map(rows.map(({ name, projection }) => [name, projection]))
    for (const [name, index] of this.#indices) {
      if (stored.get(name) === projectionTarget(index, ownerId)) continue
      const now = stored.get(name)?.replace(/\/[^/]*$/, '')
      throw new UserError(
        `the file projects aggregation ${name} into index ${index}, but the workers project it into ${now ? `index ${now}` : 'no index'}. Use the file that the workers run with, or apply this file and wait until they run with it`,
      )
    }
    this.#projections = [
      [...this.#indices.keys()],
      [...this.#indices.values()].map(index => projectionTarget(index, ownerId)),
    ]
  }

  /** Shows what a person can fix as a UserError; bugs stay as they are. */
  async #guard<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof UserError) throw error
      const known = storeError(error, doing)
      if (!(known instanceof Retryable || known instanceof Fatal)) throw known
      throw new UserError(
        `${known.message.replace(/; retrying$/, '')} (${this.#address()}). Correct this and run the command again`,
      )
    }
  }

  #address(): string {
    const { host, port, database } = this.#options.connection
    return `database ${database} at ${host}:${port}`
  }
}

function beginningOf(statements: Statements, { compiled }: { compiled: CompiledSpec }, name: string): string {
  const aggregation = compiled.aggregations.find(aggregation => aggregation.name === name)!
  return aggregateStatements(statements, aggregation, compiled.fields).beginRebuild
}
