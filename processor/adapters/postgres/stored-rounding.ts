/** Finds the tables that a release up to 0.3.0 created, which continue to round each event (contract, section 7). */
import { Connections, DEFAULT_TIMEOUTS } from './connections.ts'
import { storeError } from './errors.ts'
import { applicationName, type PostgresStoreOptions } from './options.ts'
import { findSchema } from './ownership.ts'
import { statementsOf } from './statements.ts'

export type StoredRoundingOptions = Pick<
  PostgresStoreOptions,
  'connection' | 'schema' | 'owner' | 'workerId' | 'timeouts'
>

/**
 * Resolves with the names of these aggregations. Later releases store `roundEach` for each measure, 0.3.0 for none. A
 * schema that is missing or belongs to others has none; `Store.open` reports it. Throws Retryable and Fatal AccessDenied.
 */
export async function aggregationsRoundedEach(options: StoredRoundingOptions): Promise<Set<string>> {
  const { connection, schema, owner, timeouts } = options
  const statements = statementsOf(schema)
  const connections = new Connections(connection, applicationName(options), { ...DEFAULT_TIMEOUTS, ...timeouts })
  try {
    return await connections.session(async session => {
      if ((await findSchema(session, statements, schema))?.owner !== owner) return new Set()
      const { rows } = await session.query<{ name: string }>(
        `SELECT a.name FROM ${statements.table('aggregations')} a JOIN ${statements.table('specs')} s USING (generation)
         WHERE a.kind = 'aggregation'
           AND NOT jsonb_path_exists(s.document, '$.spec.aggregations[*].measures[*].roundEach')`,
      )
      return new Set(rows.map(({ name }) => name))
    })
  } catch (error) {
    throw storeError(error, 'reading how stored aggregations round')
  } finally {
    await connections.close()
  }
}
