/** The Elasticsearch that a pipeline names. Secrets come from the environment, never from arguments. */
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import type { Sink, Telemetry } from '#processor/ports.ts'
import { ElasticsearchRemoval } from './removal.ts'
import type { ElasticsearchConnection } from './server.ts'
import { createElasticsearchSink } from './sink.ts'

/** Throws an Error that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
export function openElasticsearchSink(pipeline: SalesPipeline, env: NodeJS.ProcessEnv, log: Telemetry['log']): Sink {
  return createElasticsearchSink({
    ...elasticsearchConnection(pipeline, env),
    compiled: compileSpec(pipeline.spec),
    owner: pipelineKey(pipeline),
    log,
  })
}

/** The indices and templates that a projection made. Throws and connects as openElasticsearchSink does. */
export function openElasticsearchRemoval(pipeline: SalesPipeline, env: NodeJS.ProcessEnv): ElasticsearchRemoval {
  return new ElasticsearchRemoval(
    elasticsearchConnection(pipeline, env),
    compileSpec(pipeline.spec),
    pipelineKey(pipeline),
  )
}

function elasticsearchConnection({ spec }: SalesPipeline, env: NodeJS.ProcessEnv): ElasticsearchConnection {
  const secret = secretsFrom(env)
  const { nodes, usernameSecretRef, passwordSecretRef, tls } = spec.sinks.elasticsearch!
  if (!usernameSecretRef !== !passwordSecretRef)
    throw new Error('spec.sinks.elasticsearch: name both usernameSecretRef and passwordSecretRef, or neither')
  return {
    nodes,
    auth: usernameSecretRef && { username: secret(usernameSecretRef), password: secret(passwordSecretRef!) },
    tls: tls?.enabled && tls.caSecretRef ? { ca: secret(tls.caSecretRef) } : undefined,
  }
}
