/** Opens the PostgreSQL that a pipeline names. Secrets come from the environment, never from arguments. */
import { postgresConnection } from '#common/store-connections.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey, schemaNames, specIdentity } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Expulsions, Outbox, Store } from '#processor/ports.ts'
import { PostgresRebuild } from './rebuild-on-demand.ts'
import { PostgresRemoval } from './removal.ts'
import { createPostgresStore } from './store.ts'
import { type StoredPipeline, storedPipeline } from './stored-aggregations.ts'

/**
 * Does not connect yet. Throws a UserError that names the variable when a Secret of the spec is not in `env`. `schema`: the
 * pipeline's schema, as openStoredPipeline found it.
 */
export function openPostgresStore(
  pipeline: SalesPipeline,
  workerId: string,
  env: NodeJS.ProcessEnv,
  schema = schemaNames(pipeline).name,
): Store & Outbox & Expulsions {
  const { spec } = pipeline
  return createPostgresStore({
    connection: postgresConnection(pipeline.spec, env),
    schema,
    owner: pipelineKey(pipeline),
    compiled: compileSpec(spec),
    pipelineJson: JSON.stringify(pipeline),
    specIdentity: specIdentity(spec),
    workerId,
  })
}

/** Resolves with the schema and the aggregations that are stored already. Connects and throws like Store.open. */
export function openStoredPipeline(
  pipeline: SalesPipeline,
  workerId: string,
  env: NodeJS.ProcessEnv,
): Promise<StoredPipeline> {
  return storedPipeline({
    connection: postgresConnection(pipeline.spec, env),
    names: schemaNames(pipeline),
    workerId,
  })
}

/** Returns the removal of the store's schema. Connects and throws like openPostgresStore. */
export function openPostgresRemoval(pipeline: SalesPipeline, env: NodeJS.ProcessEnv): PostgresRemoval {
  return new PostgresRemoval({
    connection: postgresConnection(pipeline.spec, env),
    names: schemaNames(pipeline),
  })
}

/** Returns a rebuild of the projections into these indices. Connects later. Throws like openPostgresStore. */
export function openPostgresRebuild(
  pipeline: SalesPipeline,
  indices: ReadonlySet<string>,
  env: NodeJS.ProcessEnv,
): PostgresRebuild {
  const options = {
    connection: postgresConnection(pipeline.spec, env),
    names: schemaNames(pipeline),
    compiled: compileSpec(pipeline.spec),
  }
  return new PostgresRebuild(options, indices)
}
