/** What the commands accept: the pipeline's file, and flags that override what it says. */
import { parse } from 'yaml'
import type { Argv } from 'yargs'
import { readTextFile } from '#common/files.ts'
import { checkPipeline, parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { parseDuration } from '#pipeline/units.ts'
import { UsageError } from '#pipeline/user-error.ts'

const PATIENCE_MS = 2000

export function pipelineOptions<T>(argv: Argv<T>) {
  return argv
    .option('file', { type: 'string', demandOption: true, describe: 'The SalesPipeline document' })
    .option('bootstrap', {
      type: 'string',
      describe: 'Kafka brokers, host:port with commas between',
      defaultDescription: 'those of the file',
    })
}

/** Parts of a spec as a file would write them; undefined says nothing. */
export type Overrides = { [name: string]: Overrides | string | number | string[] | undefined }

/** Throws FileError, or SpecError: first with the faults of the file, then with those of the overrides. */
export function readPipeline(file: string, overrides: Overrides): SalesPipeline {
  const text = readTextFile(file)
  parsePipeline(text, file)
  const document = parse(text)
  document.spec = merge(document.spec, overrides)
  return checkPipeline(document, 'the command line')
}

/** "kafka-1:9092,kafka-2:9092" as a spec writes it. */
export function brokersOf(bootstrap: string | undefined): string[] | undefined {
  return bootstrap?.split(',').map(broker => broker.trim())
}

/** Says, on standard error, what is waited for when Kafka does not answer at once: it may take 30 s to give up. */
export async function tellOfWaiting<T>({ spec }: SalesPipeline, opening: Promise<T>): Promise<T> {
  const { bootstrapServers, topic } = spec.source
  const say = () =>
    process.stderr.write(`waiting for Kafka at ${bootstrapServers.join(', ')} and its topic ${topic} …\n`)
  const timer = setTimeout(say, PATIENCE_MS)
  return opening.finally(() => clearTimeout(timer))
}

/** For yargs: "90s" → 90000. */
export function durationOption(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    throw new UsageError(`"${text}" is not a duration such as 500ms, 30s, 5m or 1h`)
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
