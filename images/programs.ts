/** The programs that become images: one bundle each, on the pinned Node. */
import { WORKER_ENVIRONMENT, WORKER_FLAGS } from '#processor/flags.ts'

export type Program = {
  name: string
  entry: string
  flags: string[]
  env: Record<string, string>
  title: string
  /** Read at run time, from beside the bundle. */
  files?: string[]
  /** Packages that stay what they are, beside the bundle. None of them has dependencies. */
  unbundled?: string[]
}

/** The root file system is read-only in our pods; compiled code is kept in the pod's own /tmp. */
const COMPILED = '/tmp/compiled'

export const PROGRAMS: Program[] = [
  {
    name: 'processor',
    entry: 'processor/main.ts',
    flags: WORKER_FLAGS,
    env: { ...WORKER_ENVIRONMENT, NODE_COMPILE_CACHE: COMPILED },
    files: ['processor/adapters/postgres/sql'],
    title: 'SalesPipeline worker',
  },
  {
    name: 'producer',
    entry: 'producer/main.ts',
    flags: [],
    env: { NODE_COMPILE_CACHE: COMPILED },
    title: 'SalesPipeline producer: REST ingest, load generator and check',
  },
  {
    name: 'operator',
    entry: 'operator/main.ts',
    flags: [],
    env: { NODE_COMPILE_CACHE: COMPILED },
    title: 'SalesPipeline operator',
  },
  {
    name: 'verify',
    entry: 'verify/main.ts',
    flags: [],
    env: { NODE_COMPILE_CACHE: COMPILED },
    title: 'SalesPipeline verifier',
    // It replaces a part of its Kafka client while that is loaded, file by file.
    unbundled: ['kafkajs'],
  },
]
