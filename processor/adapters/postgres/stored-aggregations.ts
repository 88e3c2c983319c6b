/** Finds the schema and the aggregations that are stored already, before the store is opened. */
import { locateSchema } from '#common/schema-place.ts'
import type { StoredWatermark } from '#pipeline/former-defaults.ts'
import type { SchemaNames } from '#pipeline/identity.ts'
import { Connections, DEFAULT_TIMEOUTS } from './connections.ts'
import { storeError } from './errors.ts'
import { applicationName, type PostgresStoreOptions } from './options.ts'
import { findSchema } from './ownership.ts'
import { statementsOf } from './statements.ts'

export type StoredPipelineOptions = Pick<PostgresStoreOptions, 'connection' | 'workerId' | 'timeouts'> & {
  names: SchemaNames
}

/** `roundsEach`: a release up to 0.3.0 created it, and it continues to round each event (contract, section 7). */
export type StoredAggregations = Map<string, { roundsEach: boolean }>

/** `schema`: the pipeline's schema, which may not exist yet. `watermark`: of the newest stored spec. */
export type StoredPipeline = { schema: string; aggregations: StoredAggregations; watermark: StoredWatermark }

/**
 * Resolves with the schema, and the stored aggregations by name. Later releases store `roundEach` for each measure, 0.3.0 for none. A
 * schema that is missing or belongs to others has none; `Store.open` reports it. Throws Retryable and Fatal AccessDenied.
 */
export async function storedPipeline(options: StoredPipelineOptions): Promise<StoredPipeline> {
  const { connection, names, workerId, timeouts } = options
  const { owner } = names
  const name = applicationName({ owner, workerId })
  const connections = new Connections(connection, name, { ...DEFAULT_TIMEOUTS, ...timeouts })
  try {
    return await connections.transaction(async session => {
      const schema = await locateSchema(text => session.query(text), names)
      const statements = statementsOf(schema)
      if ((await findSchema(session, statements, schema))?.owner !== owner)
        return { schema, aggregations: new Map(), watermark: null }
      const { rows } = await session.query<{ name: string; roundsEach: boolean }>(
        `SELECT a.name,
           NOT jsonb_path_exists(s.document, '$.spec.aggregations[*].measures[*].roundEach') AS "roundsEach"
         FROM ${statements.table('aggregations')} a JOIN ${statements.table('specs')} s USING (generation)
         WHERE a.kind = 'aggregation'`,
      )
      const specs = await session.query<{ watermark: StoredWatermark }>(
        `SELECT document #> '{spec,watermark}' AS watermark FROM ${statements.table('specs')} ORDER BY generation DESC LIMIT 1`,
      )
      return {
        schema,
        aggregations: new Map(rows.map(({ name, roundsEach }) => [name, { roundsEach }])),
        watermark: specs.rows[0]?.watermark ?? null,
      }
    })
  } catch (error) {
    throw storeError(error, 'reading the stored aggregations')
  } finally {
    await connections.close()
  }
}
