/** Opens the Elasticsearch that a pipeline names. */
import { elasticsearchConnection } from '#common/store-connections.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Sink, Telemetry } from '#processor/ports.ts'
import { ElasticsearchRemoval } from './removal.ts'
import { createElasticsearchSink } from './sink.ts'

/** Does not connect yet. Throws a UserError that names the variable when a Secret of the spec is not in `env`. */
export function openElasticsearchSink(pipeline: SalesPipeline, env: NodeJS.ProcessEnv, log: Telemetry['log']): Sink {
  return createElasticsearchSink({
    ...elasticsearchConnection(pipeline.spec, env),
    compiled: compileSpec(pipeline.spec),
    log,
  })
}

/** Returns the removal of a projection's indices and templates. Connects and throws like openElasticsearchSink. */
export function openElasticsearchRemoval(pipeline: SalesPipeline, env: NodeJS.ProcessEnv): ElasticsearchRemoval {
  return new ElasticsearchRemoval(elasticsearchConnection(pipeline.spec, env), compileSpec(pipeline.spec))
}
