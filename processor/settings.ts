/** A worker's settings beside its pipeline: read once, with every fault reported at once. */
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { Environment, LOG_LEVELS } from '#common/environment.ts'
import { MAX_PORT, MIN_SESSION_TIMEOUT_MS, SESSION_TIMEOUT_MS, WORKER_PORT } from '#pipeline/limits.ts'
import { UsageError } from '#pipeline/user-error.ts'

export type Settings = {
  command: 'work' | 'remove'
  /** The SalesPipeline document. */
  file: string
  workerId: string
  httpHost: string
  /** 0: any free one. */
  httpPort: number
  sessionTimeoutMs: number
  /** Thousandths of a CPU that the worker may use; undefined: all there is. */
  cpuMillis: number | undefined
  commitLog: string | undefined
  logLevel: (typeof LOG_LEVELS)[number]
}

const HELP = `A SalesPipeline worker: reads its share of the topic, aggregates, commits to PostgreSQL, projects to Elasticsearch.

  node processor/main.ts --file PIPELINE.yaml           works until SIGTERM
  node processor/main.ts remove --file PIPELINE.yaml    removes what the pipeline stored

remove is for a pipeline whose workers are gone. It deletes the indices and index templates that they made in
Elasticsearch, then their PostgreSQL schema with everything in it, and leaves alone what another pipeline or a person
made. It waits for sinks that are down or refuse it (/status says which and why) and ends with 0 once all is gone; with
1 on SIGTERM before that, and can be run again.

Environment:
  WORKER_ID           name in logs, metrics and the group (default: host name and process id)
  HTTP_HOST           address of /metrics, /healthz, /readyz, /status (default 0.0.0.0)
  HTTP_PORT           its port; 0 takes any free one (default ${WORKER_PORT})
  SESSION_TIMEOUT_MS  a worker silent for so long loses its partitions (default ${SESSION_TIMEOUT_MS}, the least a broker allows by default)
  CPU_MILLIS          thousandths of a CPU that it may use, where it is limited: busy is measured by it
  COMMIT_LOG          file for one line per commit: raw samples of the end-to-end delay
  LOG_LEVEL           ${LOG_LEVELS.join(', ')} (default info)
  PGUSER, PGPASSWORD  where the pipeline names no Secret for PostgreSQL
  SECRET_<NAME>_<KEY> stands for key KEY of Secret NAME
  OTEL_EXPORTER_OTLP_ENDPOINT and the other standard variables switch tracing on

Exit code: 0 when it stopped as asked, 2 when the settings or the document are wrong, 1 for every other failure.
`

/** Throws a UsageError that lists all faults. Prints the help and exits when asked for it. */
export function readSettings(args: string[], env: NodeJS.ProcessEnv): Settings {
  const { words, file, help } = readArguments(args)
  if (help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  const variables = new Environment(env)
  const { faults } = variables
  if (!file) faults.push('--file is needed: the SalesPipeline document')
  const settings: Settings = {
    command: commandOf(words, faults),
    file: file ?? '',
    workerId: env.WORKER_ID ?? `${hostname()}-${process.pid}`,
    httpHost: env.HTTP_HOST ?? '0.0.0.0',
    httpPort: variables.integer('HTTP_PORT', WORKER_PORT, 0, MAX_PORT),
    sessionTimeoutMs: variables.integer('SESSION_TIMEOUT_MS', SESSION_TIMEOUT_MS, MIN_SESSION_TIMEOUT_MS, 300_000),
    cpuMillis: env.CPU_MILLIS === undefined ? undefined : variables.integer('CPU_MILLIS', 0, 1, 1_000_000),
    commitLog: env.COMMIT_LOG,
    logLevel: variables.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
  }
  variables.check()
  return settings
}

function commandOf(words: string[], faults: string[]): Settings['command'] {
  if (words.length === 0) return 'work'
  const given = words.join(' ')
  if (given !== 'remove')
    faults.push(`there is no command "${given}". The commands: remove; without one, a worker runs`)
  return 'remove'
}

type Arguments = { words: string[]; file?: string | undefined; help?: boolean | undefined }

function readArguments(args: string[]): Arguments {
  const options = { file: { type: 'string' }, help: { type: 'boolean' } } as const
  try {
    const { positionals, values } = parseArgs({ args, options, allowPositionals: true })
    return { words: positionals, ...values }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
