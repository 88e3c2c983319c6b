/** What a store is made for: one worker of one pipeline in one schema. */

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
  /** See pipeline/identity.ts: another one is another generation. */
  specIdentity: string
  workerId: string
  /** ms, in place of DEFAULT_TIMEOUTS. */
  timeouts?: Partial<Timeouts>
}

/** PostgreSQL keeps 63 bytes of a connection's name; both parts are to be seen. */
const OWNER_CHARACTERS = 36
const WORKER_CHARACTERS = 20

/** How the names of all this pipeline's connections begin. */
export function applicationPrefix(owner: string): string {
  return `sales ${owner.slice(0, OWNER_CHARACTERS)} `
}

export function applicationName({ owner, workerId }: PostgresStoreOptions): string {
  return applicationPrefix(owner) + workerId.slice(-WORKER_CHARACTERS)
}
