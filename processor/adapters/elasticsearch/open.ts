/** The projection that a pipeline names. Secrets come from the environment, never from arguments. */
import { secretVariable } from '#pipeline/identity.ts'
import { planOf } from '#pipeline/plan.ts'
import type { SalesPipeline, SecretRef } from '#pipeline/schema.ts'
import type { Projection, Telemetry } from '#processor/ports.ts'
import { createElasticsearchProjection } from './projection.ts'

/** Throws an Error that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
export function openElasticsearchProjection(
  { spec }: SalesPipeline,
  env: NodeJS.ProcessEnv,
  log: Telemetry['log'],
): Projection {
  const secret = (ref: SecretRef) => {
    const value = env[secretVariable(ref)]
    if (value === undefined)
      throw new Error(`set ${secretVariable(ref)}: the value of key ${ref.key} of Secret ${ref.name}`)
    return value
  }
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
