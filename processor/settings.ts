/** What a worker needs to know beside its pipeline: read once, checked whole, every fault named at once. */
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'

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
  logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

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
  HTTP_PORT           its port; 0 takes any free one (default 8080)
  SESSION_TIMEOUT_MS  a worker silent for so long loses its partitions (default 6000, the least a broker allows by default)
  CPU_MILLIS          thousandths of a CPU that it may use, where it is limited: busy is measured by it
  COMMIT_LOG          file for one line per commit: raw samples of the end-to-end delay
  LOG_LEVEL           ${LOG_LEVELS.join(', ')} (default info)
  PGUSER, PGPASSWORD  where the pipeline names no Secret for PostgreSQL
  SECRET_<NAME>_<KEY> stands for key KEY of Secret NAME
  OTEL_EXPORTER_OTLP_ENDPOINT and the other standard variables switch tracing on
`

/** A setting is missing or malformed; the message lists all of them. */
export class SettingsError extends Error {}

/** Throws SettingsError. Prints the help and exits when asked for it. */
export function readSettings(args: string[], env: NodeJS.ProcessEnv): Settings {
  const { words, file, help } = readArguments(args)
  if (help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  const faults: string[] = []
  const number = (name: string, fallback: number, min: number, max: number) => {
    const value = Number(env[name] ?? fallback)
    if (!Number.isInteger(value) || value < min || value > max)
      faults.push(`${name} must be a whole number from ${min} to ${max}, not "${env[name]}"`)
    return value
  }
  const logLevel = env.LOG_LEVEL ?? 'info'
  if (!LOG_LEVELS.includes(logLevel as Settings['logLevel']))
    faults.push(`LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}, not "${logLevel}"`)
  if (!file) faults.push('--file is needed: the SalesPipeline document')
  const settings: Settings = {
    command: commandOf(words, faults),
    file: file ?? '',
    workerId: env.WORKER_ID ?? `${hostname()}-${process.pid}`,
    httpHost: env.HTTP_HOST ?? '0.0.0.0',
    httpPort: number('HTTP_PORT', 8080, 0, 65_535),
    sessionTimeoutMs: number('SESSION_TIMEOUT_MS', 6000, 1000, 300_000),
    cpuMillis: env.CPU_MILLIS === undefined ? undefined : number('CPU_MILLIS', 0, 1, 1_000_000),
    commitLog: env.COMMIT_LOG,
    logLevel: logLevel as Settings['logLevel'],
  }
  if (faults.length > 0) throw new SettingsError(`${faults.join('\n')}\nSee --help.`)
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
    throw new SettingsError(`${(error as Error).message}\nSee --help.`)
  }
}
