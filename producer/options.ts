/** Options of the commands: the pipeline's file and the flags that override it. */
import type { Argv } from 'yargs'
import { isAdmitted } from '#common/environment.ts'
import { readTextFile } from '#common/files.ts'
import { writeLines } from '#common/output.ts'
import { restartOnSecretChange } from '#common/secret-watch.ts'
import { checkPipeline, parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { parseDuration } from '#pipeline/units.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { parseYaml, plainValue } from '#pipeline/yaml.ts'

const REPORT_WAITING_AFTER_MS = 2000

export function pipelineOptions<T>(argv: Argv<T>) {
  return argv
    .option('file', { type: 'string', demandOption: true, describe: 'Path of the SalesPipeline YAML file' })
    .option('bootstrap', {
      type: 'string',
      describe: 'Kafka brokers: host:port, separated by commas',
      defaultDescription: 'brokers of the file',
    })
}

/** Parts of a spec in the format of a file; undefined keeps the value of the file. */
export type Overrides = { [name: string]: Overrides | string | number | string[] | undefined }

/** Throws FileError, or SpecError with the faults of the file; if it has none, with the faults of the overrides. */
export function readPipeline(file: string, overrides: Overrides): SalesPipeline {
  const text = readTextFile(file)
  const options = { admitted: isAdmitted(process.env) }
  parsePipeline(text, file, options)
  const document = plainValue(parseYaml(text)) as { spec: unknown }
  document.spec = merge(document.spec, overrides)
  return checkPipeline(document, 'the command line', options)
}

/** Parses "kafka-1:9092,kafka-2:9092" to a list. */
export function brokersOf(bootstrap: string | undefined): string[] | undefined {
  return bootstrap?.split(',').map(broker => broker.trim())
}

/** Writes to standard error if Kafka does not respond at once, because opening gives up only after 30 s. */
export async function reportWaiting<T>({ spec }: SalesPipeline, opening: Promise<T>): Promise<T> {
  const { bootstrapServers, topic } = spec.source
  const report = () =>
    writeLines(process.stderr, `waiting for Kafka at ${bootstrapServers.join(', ')} and its topic ${topic} …`)
  const timer = setTimeout(report, REPORT_WAITING_AFTER_MS)
  return opening.finally(() => clearTimeout(timer))
}

/** Call it once the process stops on SIGTERM. */
export function watchSecrets(): void {
  restartOnSecretChange(process.env, (message, { variables }) =>
    writeLines(process.stderr, `${message}: ${(variables as string[]).join(', ')}`),
  )
}

/** Returns a function that converts the text of a yargs option: "90s" → 90000. It throws UsageError. */
export function durationOption(name: string): (text: string) => number {
  return text => {
    try {
      return parseDuration(text)
    } catch {
      throw new UsageError(`--${name} must be a duration such as 500ms, 30s, 5m or 1h, not "${text}"`)
    }
  }
}

function merge(base: unknown, over: Overrides): Overrides {
  const merged: Overrides = { ...(base as Overrides) }
  for (const [name, value] of Object.entries(over)) {
    if (value === undefined) continue
    const isPart = typeof value === 'object' && !Array.isArray(value)
    merged[name] = isPart ? merge(merged[name], value) : value
  }
  return merged
}
