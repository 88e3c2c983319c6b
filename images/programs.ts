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
  /** Packages whose modules only define things, so that those that nobody uses can be left out. */
  leanPackages?: string[]
  /** Packages that are copied instead of bundled. None of them has dependencies. */
  unbundled?: string[]
}

/** Cache of compiled code. It is in /tmp because the root file system of our pods is read-only. */
const COMPILED = '/tmp/compiled'

/** The operator rarely works, and should need little memory. Measured with bench/operator.ts. */
const OPERATOR_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size']

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
    // It has a class for each kind of the API, which take 12 MiB of memory.
    leanPackages: ['@kubernetes/client-node'],
    flags: OPERATOR_FLAGS,
    env: { MALLOC_ARENA_MAX: '1', NODE_COMPILE_CACHE: COMPILED },
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
