/** The programs that become images: one bundle each, on the pinned Node. */
import { WORKER_ENVIRONMENT, WORKER_FLAGS } from '#processor/flags.ts'

export type Program = {
  name: string
  entry: string
  flags: string[]
  env: Record<string, string>
  title: string
  /** Files that the program reads at run time from the folder of its bundle. */
  files?: string[]
  /** Packages that are copied instead of bundled. None of them has dependencies. */
  unbundled?: string[]
}

/** Cache of compiled code. It is in /tmp because the root file system of our pods is read-only. */
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
    // The verifier replaces a file of its Kafka client while that is loaded.
    unbundled: ['kafkajs'],
  },
]
