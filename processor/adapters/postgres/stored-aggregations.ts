/** Finds the aggregations that are stored already, before the store is opened. */
import { Connections, DEFAULT_TIMEOUTS } from './connections.ts'
import { storeError } from './errors.ts'
import { applicationName, type PostgresStoreOptions } from './options.ts'
import { findSchema } from './ownership.ts'
import { statementsOf } from './statements.ts'

export type StoredAggregationsOptions = Pick<
  PostgresStoreOptions,
  'connection' | 'schema' | 'owner' | 'workerId' | 'timeouts'
>

/** `roundsEach`: a release up to 0.3.0 created it, and it continues to round each event (contract, section 7). */
export type StoredAggregations = Map<string, { roundsEach: boolean }>

/**
 * Resolves with the stored aggregations by name. Later releases store `roundEach` for each measure, 0.3.0 for none. A
 * schema that is missing or belongs to others has none; `Store.open` reports it. Throws Retryable and Fatal AccessDenied.
 */
export async function storedAggregations(options: StoredAggregationsOptions): Promise<StoredAggregations> {
  const { connection, schema, owner, timeouts } = options
  const statements = statementsOf(schema)
  const connections = new Connections(connection, applicationName(options), { ...DEFAULT_TIMEOUTS, ...timeouts })
  try {
    return await connections.session(async session => {
      if ((await findSchema(session, statements, schema))?.owner !== owner) return new Map()
      const { rows } = await session.query<{ name: string; roundsEach: boolean }>(
        `SELECT a.name,
           NOT jsonb_path_exists(s.document, '$.spec.aggregations[*].measures[*].roundEach') AS "roundsEach"
         FROM ${statements.table('aggregations')} a JOIN ${statements.table('specs')} s USING (generation)
         WHERE a.kind = 'aggregation'`,
      )
      return new Map(rows.map(({ name, roundsEach }) => [name, { roundsEach }]))
    })
  } catch (error) {
    throw storeError(error, 'reading the stored aggregations')
  } finally {
    await connections.close()
  }
}
