/** The command line of `npm start`. */
import { resolve } from 'node:path'
import yargs from 'yargs'
import { MAX_PORT, MAX_RATE } from '#pipeline/limits.ts'
import { parseDuration } from '#pipeline/units.ts'
import { UsageError } from '#pipeline/user-error.ts'

const DEFAULT_FILE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

/** Mishaps and rate of the load generator, in place of the file's `spec.load`. */
export type LoadOverrides = {
  rate?: number | undefined
  seed?: number | undefined
  disorder?: number | undefined
  lateness?: number | undefined
  duplicates?: number | undefined
  malformed?: number | undefined
}

export type Options = {
  /** The SalesPipeline document. */
  file: string
  /** The file as it must be typed again; empty where it need not be. */
  typedFile: string
  /** Undefined: the file's `spec.workers.replicas`. */
  workers: number | undefined
  /** Length of a bounded run, ms; undefined: until Ctrl-C. */
  forMs: number | undefined
  /** Where a bounded run writes its report. */
  report: string | undefined
  /** Drop the data of earlier runs. */
  fresh: boolean
  /** Use the servers that the file names. */
  external: boolean
  /** Start the load generator. */
  sending: boolean
  ports: { kafka: number | undefined; postgres: number | undefined; elasticsearch: number | undefined }
  load: LoadOverrides
}

/** Reads the arguments; `{ help }` when they ask for it. Throws UsageError with all faults. */
export function readOptions(args: string[]): Options | { help: string } {
  let shown = ''
  const argv = parser(args).parseSync(args, {}, (error: Error | undefined, _argv: unknown, output: string) => {
    if (error) throw new UsageError(error.message, 'npm start -- --help')
    shown = output
  })
  if (shown !== '') return { help: shown }
  const typedFile = argv.file === undefined ? '' : String(argv.file)
  const options: Options = {
    file: typedFile || DEFAULT_FILE,
    typedFile,
    workers: argv.workers,
    forMs: argv.for === undefined ? undefined : parseDuration(argv.for),
    report: argv.report === undefined ? undefined : resolve(argv.report),
    fresh: argv.fresh ?? false,
    external: argv.external ?? false,
    sending: !argv['no-load'],
    ports: { kafka: argv['kafka-port'], postgres: argv['postgres-port'], elasticsearch: argv['elasticsearch-port'] },
    load: {
      rate: argv.rate,
      seed: argv.seed,
      disorder: argv.disorder,
      lateness: argv.lateness,
      duplicates: argv.duplicates,
      malformed: argv.malformed,
    },
  }
  return Object.freeze(options)
}

const FRACTIONS = ['disorder', 'lateness', 'duplicates', 'malformed'] as const
const PORTS = ['kafka-port', 'postgres-port', 'elasticsearch-port'] as const
const number = { type: 'number', requiresArg: true } as const
const text = { type: 'string', requiresArg: true } as const
const NUMBERS = ['workers', 'rate', 'seed', ...FRACTIONS, ...PORTS] as const

function parser(args: string[]) {
  return yargs(args)
    .scriptName('npm start --')
    .usage(
      '$0 [FILE.yaml] [options]\n\nRuns a SalesPipeline on this machine: real Kafka, PostgreSQL and Elasticsearch, workers and load.',
    )
    .command('$0 [file]', false, command =>
      command.positional('file', {
        type: 'string',
        defaultDescription: 'k8s/examples/ecommerce.yaml',
        describe: 'the SalesPipeline document',
      }),
    )
    .options({
      workers: { ...number, describe: 'worker processes; the file’s spec.workers.replicas (2) when left out' },
      rate: { ...number, describe: 'sales per second; the file’s spec.load.rate (100) when left out' },
      for: { ...text, describe: 'a bounded run: send for so long (60s, 5m), drain, verify every row, exit' },
      report: { ...text, describe: 'with --for: write the figures as JSON' },
      fresh: { type: 'boolean', describe: 'drop the data of earlier runs first' },
      external: { type: 'boolean', describe: 'use the servers that the file names; nothing is replaced' },
      'kafka-port': { ...number, describe: 'of the local Kafka; chosen and remembered when left out' },
      'postgres-port': { ...number, describe: 'of the local PostgreSQL' },
      'elasticsearch-port': { ...number, describe: 'of the local Elasticsearch' },
      disorder: { ...number, describe: 'fraction of sales that come out of order (0.1: every tenth)' },
      lateness: { ...number, describe: 'fraction that come far too late' },
      duplicates: { ...number, describe: 'fraction that are sent twice' },
      malformed: { ...number, describe: 'fraction that cannot be read' },
      seed: { ...number, describe: 'of the load generator: the same seed makes the same sales' },
      'no-load': { type: 'boolean', describe: 'start no load generator' },
    })
    .example('$0', 'the e-commerce example at 100 sales/s with a live view; Ctrl-C stops it all')
    .example('$0 --for 60s --report r.json', 'a bounded run with a verdict')
    .example(
      '$0 --for 1m --rate 20000 --disorder 0.2 --lateness 0.01 --duplicates 0.01 --malformed 0.005',
      'with every mishap',
    )
    .example('$0 my.yaml --workers 3 --fresh', 'your own pipeline on local servers, from nothing')
    .example('$0 --no-load --for 1s', 'judge what earlier runs left')
    .epilogue(
      'Data stays in .local/<pipeline name> between runs. Exit code: 0 when nothing was lost or doubled and every row ' +
        'agrees, 1 when not, 2 when the arguments or the file are wrong. With --external, user and password of PostgreSQL ' +
        'come from PGUSER and PGPASSWORD, those of Secrets from SECRET_<NAME>_<KEY>; records of other producers count as foreign.',
    )
    .parserConfiguration({
      'boolean-negation': false,
      'duplicate-arguments-array': false,
      'camel-case-expansion': false,
    })
    .strict()
    .version(false)
    .wrap(110)
    .exitProcess(false)
    .check(argv => {
      const faults = faultsOf(argv)
      if (faults.length > 0) throw new Error(faults.join('\n'))
      return true
    })
}

/** All faults of the values at once, each naming its flag. */
function faultsOf(argv: Record<string, unknown>): string[] {
  const number = (name: string) => argv[name] as number | undefined
  const faults = NUMBERS.filter(name => Number.isNaN(number(name))).map(name => `--${name} needs a number`)
  const bounds = (name: string, min: number, max: number, whole: boolean) => {
    const value = number(name)
    if (value === undefined || Number.isNaN(value)) return
    if (value < min || value > max || (whole && !Number.isInteger(value)))
      faults.push(`--${name} must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}, not ${value}`)
  }
  bounds('workers', 1, 64, true)
  bounds('rate', 0, MAX_RATE, false)
  bounds('seed', 0, Number.MAX_SAFE_INTEGER, true)
  for (const name of FRACTIONS) bounds(name, 0, 1, false)
  for (const name of PORTS) bounds(name, 1, MAX_PORT, true)
  if (argv.for !== undefined && !isDuration(argv.for))
    faults.push(`--for must be a time such as 60s or 5m, not "${argv.for}"`)
  if (argv.report !== undefined && argv.for === undefined)
    faults.push('--report needs --for: only a bounded run has a verdict')
  if (argv.external && argv.fresh)
    faults.push('--fresh has no meaning with --external: what stands on those servers is not ours to drop')
  if (argv.external)
    faults.push(
      ...PORTS.filter(name => number(name) !== undefined).map(name => `--${name} has no meaning with --external`),
    )
  return faults
}

function isDuration(text: unknown): boolean {
  try {
    return parseDuration(String(text)) >= 0
  } catch {
    return false
  }
}
