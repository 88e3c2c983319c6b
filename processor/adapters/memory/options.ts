import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { MemoryDatabase } from './database.ts'

export type MemoryStoreOptions = {
  /** Shared by the stores of all workers of a pipeline. */
  database: MemoryDatabase
  compiled: CompiledSpec
  /** The whole SalesPipeline document, defaults applied. */
  pipelineJson: string
  specIdentity: string
  /** The database's clock, ms. */
  now: () => number
  /** Returns a different token at each call. */
  newToken: () => string
}
