/** The Elasticsearch that a pipeline names. */
import { elasticsearchConnection } from '#common/store-connections.ts'
import { ownerOf } from '#pipeline/identity.ts'
import { planOf } from '#pipeline/plan.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Projection, Telemetry } from '#processor/ports.ts'
import { createElasticsearchProjection } from './projection.ts'
import { ElasticsearchRemoval } from './removal.ts'

/** Throws a UserError that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
export function openElasticsearchProjection(
  pipeline: SalesPipeline,
  env: NodeJS.ProcessEnv,
  log: Telemetry['log'],
): Projection {
  return createElasticsearchProjection({
    ...elasticsearchConnection(pipeline.spec, env),
    plan: planOf(pipeline.spec),
    owner: ownerOf(pipeline),
    log,
  })
}

/** The indices and templates that a projection made. Throws and connects as openElasticsearchProjection does. */
export function openElasticsearchRemoval(pipeline: SalesPipeline, env: NodeJS.ProcessEnv): ElasticsearchRemoval {
  return new ElasticsearchRemoval(elasticsearchConnection(pipeline.spec, env), planOf(pipeline.spec), ownerOf(pipeline))
}
