/** Options of a store for one worker of one pipeline in one schema. */

import type { PostgresConnection } from '#common/store-connections.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Timeouts } from './connections.ts'

export type PostgresStoreOptions = {
  connection: PostgresConnection
  /** The schema that the pipeline owns; created when it is missing. */
  schema: string
  /** namespace/name of the pipeline. */
  owner: string
  compiled: CompiledSpec
  /** The whole SalesPipeline document, defaults applied. */
  pipelineJson: string
  /** See pipeline/identity.ts: a different identity is a new generation. */
  specIdentity: string
  workerId: string
  /** Replaces DEFAULT_TIMEOUTS, ms. */
  timeouts?: Partial<Timeouts>
}

/** PostgreSQL truncates a connection's name to 63 bytes; both parts must fit. */
const OWNER_CHARACTERS = 36
const WORKER_CHARACTERS = 20

/** Returns the start of the names of all connections of a pipeline. */
export function applicationPrefix(owner: string): string {
  return `sales ${owner.slice(0, OWNER_CHARACTERS)} `
}

export function applicationName({ owner, workerId }: Pick<PostgresStoreOptions, 'owner' | 'workerId'>): string {
  return applicationPrefix(owner) + workerId.slice(-WORKER_CHARACTERS)
}
