/** The projection that a pipeline names. Secrets come from the environment, never from arguments. */
import { planOf } from '#pipeline/plan.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import type { Projection, Telemetry } from '#processor/ports.ts'
import { createElasticsearchProjection } from './projection.ts'

/** Throws an Error that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
export function openElasticsearchProjection(
  { spec }: SalesPipeline,
  env: NodeJS.ProcessEnv,
  log: Telemetry['log'],
): Projection {
  const secret = secretsFrom(env)
  const { nodes, usernameSecretRef, passwordSecretRef, tls } = spec.sinks.elasticsearch!
  if (!usernameSecretRef !== !passwordSecretRef)
    throw new Error('spec.sinks.elasticsearch: name both usernameSecretRef and passwordSecretRef, or neither')
  return createElasticsearchProjection({
    nodes,
    auth: usernameSecretRef && { username: secret(usernameSecretRef), password: secret(passwordSecretRef!) },
    tls: tls?.enabled && tls.caSecretRef ? { ca: secret(tls.caSecretRef) } : undefined,
    plan: planOf(spec),
    log,
  })
}
