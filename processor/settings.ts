/** A worker's settings outside the pipeline document: read once, with all faults reported together. */
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { Environment, isAdmitted, LOG_LEVELS } from '#common/environment.ts'
import { httpHost } from '#common/http.ts'
import { writeLines } from '#common/output.ts'
import { MAX_PORT, MEMBERS_PORT, MIN_SESSION_TIMEOUT_MS, SESSION_TIMEOUT_MS, WORKER_PORT } from '#pipeline/limits.ts'
import { UsageError } from '#pipeline/user-error.ts'

export type Settings = {
  command: 'work' | 'remove'
  /** The SalesPipeline document. */
  file: string
  /** The API server has admitted the document. */
  admitted: boolean
  workerId: string
  httpHost: string
  /** 0 selects any free port. */
  httpPort: number
  /** Where the operator removes dead members. Without a file with its keys, nobody can. 0 selects any free port. */
  members: { port: number; keysFile: string } | undefined
  sessionTimeoutMs: number
  /** CPU limit in thousandths of a CPU; undefined: no limit. */
  cpuMillis: number | undefined
  commitLog: string | undefined
  logLevel: (typeof LOG_LEVELS)[number]
}

const HELP = `A SalesPipeline worker: reads its share of the topic, aggregates, commits to PostgreSQL, projects to Elasticsearch.

  node processor/main.ts --file PIPELINE.yaml           runs until SIGTERM
  node processor/main.ts remove --file PIPELINE.yaml    removes what the pipeline stored
  node processor/main.ts sinks --help                   rebuilds projections

Stop all workers of the pipeline before you run remove. It deletes the indices and index templates that the workers
created in Elasticsearch, then their PostgreSQL schema with everything in it. It skips everything that another pipeline
or a person created. While a sink is unavailable or denies access, the remove command waits, and
/status shows the sink and the reason. The command exits with 0 after everything is removed, or with 1 on SIGTERM before
that; you can then run it again.

Environment:
  WORKER_ID           name in logs, metrics and the consumer group (default: host name and process id)
  HTTP_HOST           address of /metrics, /healthz, /readyz, /status (default 127.0.0.1); * for all addresses
  HTTP_PORT           port of /metrics, /healthz, /readyz, /status; 0 selects any free port (default ${WORKER_PORT})
  MEMBERS_KEYS        file with the keys of the operator, which then may remove dead members of the consumer group. The
                      operator sets it; without it, only the broker removes members
  MEMBERS_PORT        port for the operator, on HTTP_HOST; 0 selects any free port (default ${MEMBERS_PORT})
  SESSION_TIMEOUT_MS  milliseconds after which a worker without heartbeats loses its partitions
                      (default ${SESSION_TIMEOUT_MS}, which is the minimum that brokers allow by default)
  CPU_MILLIS          CPU limit in thousandths of a CPU; the busy metric is a share of this limit (default: no limit)
  COMMIT_LOG          file to which each commit adds a line with raw samples of the end-to-end delay
  LOG_LEVEL           ${LOG_LEVELS.join(', ')} (default info)
  PGUSER, PGPASSWORD  used when the pipeline names no Secret for PostgreSQL
  SECRET_<NAME>_<KEY> value of key KEY of Secret NAME
  SECRETS_DIR         folder with a file for each of these variables; the process exits when a file gets another value
  KAFKA_TOKEN_FILE    file with the token for spec.source.sasl.serviceAccountToken
  SPEC_ADMITTED       true: the file comes from the Kubernetes API server, whose rules replace the checks for credentials
                      that are sent without encryption
  OTEL_EXPORTER_OTLP_ENDPOINT and the other standard variables enable tracing

Exit code: 0 after a requested stop, 2 if the settings or the document are invalid, 1 for every other failure.
`

/** Throws a UsageError that lists all faults. Prints the help and exits when asked for it. */
export function readSettings(args: string[], env: NodeJS.ProcessEnv): Settings {
  const { words, file, help } = readArguments(args)
  if (help) {
    writeLines(process.stdout, HELP.trimEnd())
    process.exit(0)
  }
  const variables = new Environment(env)
  const { faults } = variables
  if (!file) faults.push('--file is missing: set it to the path of the SalesPipeline YAML file')
  const settings: Settings = {
    command: commandOf(words, faults),
    file: file ?? '',
    admitted: isAdmitted(env),
    workerId: env.WORKER_ID ?? `${hostname()}-${process.pid}`,
    httpHost: httpHost(env),
    httpPort: variables.integer('HTTP_PORT', WORKER_PORT, 0, MAX_PORT),
    members: membersOf(variables, env),
    sessionTimeoutMs: variables.integer('SESSION_TIMEOUT_MS', SESSION_TIMEOUT_MS, MIN_SESSION_TIMEOUT_MS, 300_000),
    cpuMillis: env.CPU_MILLIS === undefined ? undefined : variables.integer('CPU_MILLIS', 0, 1, 1_000_000),
    commitLog: env.COMMIT_LOG,
    logLevel: variables.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
  }
  variables.check()
  return settings
}

function membersOf(variables: Environment, { MEMBERS_KEYS: keysFile }: NodeJS.ProcessEnv): Settings['members'] {
  return keysFile ? { keysFile, port: variables.integer('MEMBERS_PORT', MEMBERS_PORT, 0, MAX_PORT) } : undefined
}

function commandOf(words: string[], faults: string[]): Settings['command'] {
  if (words.length === 0) return 'work'
  const given = words.join(' ')
  if (given !== 'remove')
    faults.push(`unknown command "${given}". The commands are remove and sinks; to run a worker, give no command`)
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
