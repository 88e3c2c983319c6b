/** The PostgreSQL that a pipeline names. Secrets come from the environment, never from arguments. */
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey, schemaName, specIdentity } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import type { Expulsions, Outbox, Store } from '#processor/ports.ts'
import type { PostgresConnection } from './connections.ts'
import { PostgresRemoval } from './removal.ts'
import { createPostgresStore } from './store.ts'

/** Throws an Error that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
export function openPostgresStore(
  pipeline: SalesPipeline,
  workerId: string,
  env: NodeJS.ProcessEnv,
): Store & Outbox & Expulsions {
  const { spec } = pipeline
  return createPostgresStore({
    connection: postgresConnection(pipeline, env),
    schema: schemaName(pipeline),
    owner: pipelineKey(pipeline),
    compiled: compileSpec(spec),
    pipelineJson: JSON.stringify(pipeline),
    specIdentity: specIdentity(spec),
    workerId,
  })
}

/** The schema that the store made. Throws and connects as openPostgresStore does. */
export function openPostgresRemoval(pipeline: SalesPipeline, env: NodeJS.ProcessEnv): PostgresRemoval {
  return new PostgresRemoval({
    connection: postgresConnection(pipeline, env),
    schema: schemaName(pipeline),
    owner: pipelineKey(pipeline),
  })
}

/** User and password are those of the spec's Secrets, else PGUSER and PGPASSWORD. */
export function postgresConnection({ spec }: SalesPipeline, env: NodeJS.ProcessEnv): PostgresConnection {
  const secret = secretsFrom(env)
  const { host, port, database, usernameSecretRef, passwordSecretRef, tls } = spec.sinks.postgres
  const user = usernameSecretRef ? secret(usernameSecretRef) : env.PGUSER
  if (user === undefined) throw new Error('set PGUSER, or name the Secret in spec.sinks.postgres.usernameSecretRef')
  return {
    host,
    port,
    database,
    user,
    password: passwordSecretRef ? secret(passwordSecretRef) : env.PGPASSWORD,
    tls: tls?.enabled ? { ca: tls.caSecretRef && secret(tls.caSecretRef) } : undefined,
  }
}
