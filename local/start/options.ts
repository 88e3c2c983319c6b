/** The command line of `npm start`. */
import { resolve } from 'node:path'
import yargs from 'yargs'
import { MAX_PORT, MAX_RATE } from '#pipeline/limits.ts'
import { parseDuration } from '#pipeline/units.ts'
import { UsageError } from '#pipeline/user-error.ts'

const DEFAULT_FILE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

/** Load settings from flags; they replace those in the file's `spec.load`. */
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
  /** The file as the user typed it; empty if none was given. */
  typedFile: string
  /** Undefined means the file's `spec.workers.replicas`. */
  workers: number | undefined
  /** Length of a bounded run, ms; undefined means until Ctrl-C. */
  forMs: number | undefined
  /** File for the report of a bounded run. */
  report: string | undefined
  /** Delete the data of earlier runs first. */
  fresh: boolean
  /** Use the servers that the file names, and start none. */
  external: boolean
  /** Start the load generator. */
  sending: boolean
  ports: { kafka: number | undefined; postgres: number | undefined; elasticsearch: number | undefined }
  load: LoadOverrides
}

/** Returns the options, or `{ help }` if the arguments ask for it. Throws UsageError with all problems. */
export function readOptions(args: string[]): Options | { help: string } {
  let help = ''
  const argv = parser(args).parseSync(args, {}, (error: Error | undefined, _argv: unknown, output: string) => {
    if (error) throw new UsageError(error.message, 'npm start -- --help')
    help = output
  })
  if (help !== '') return { help }
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
      '$0 [FILE.yaml] [options]\n\nRuns a SalesPipeline on this machine: Kafka, PostgreSQL, Elasticsearch, workers and a load generator.',
    )
    .command('$0 [file]', false, command =>
      command.positional('file', {
        type: 'string',
        defaultDescription: 'k8s/examples/ecommerce.yaml',
        describe: 'path of the SalesPipeline YAML file',
      }),
    )
    .options({
      workers: { ...number, describe: 'number of worker processes [default: spec.workers.replicas]' },
      rate: { ...number, describe: 'sales per second [default: spec.load.rate]' },
      for: { ...text, describe: 'send load for this long (60s, 5m), drain, verify every row, exit' },
      report: { ...text, describe: 'write the results as JSON to this file; needs --for' },
      fresh: { type: 'boolean', describe: 'delete the data of earlier runs first' },
      external: { type: 'boolean', describe: 'use the servers that the file names; start none' },
      'kafka-port': { ...number, describe: 'port of the local Kafka [default: a free port, kept for later runs]' },
      'postgres-port': { ...number, describe: 'port of the local PostgreSQL' },
      'elasticsearch-port': { ...number, describe: 'port of the local Elasticsearch' },
      disorder: { ...number, describe: 'fraction of sales that arrive out of order (0.1 is one in ten)' },
      lateness: { ...number, describe: 'fraction of sales that arrive too late' },
      duplicates: { ...number, describe: 'fraction of sales that are sent twice' },
      malformed: { ...number, describe: 'fraction of sales that are malformed' },
      seed: { ...number, describe: 'seed of the load generator; the same seed generates the same sales' },
      'no-load': { type: 'boolean', describe: 'do not start the load generator' },
    })
    .example('$0', 'the e-commerce example with a live view, until Ctrl-C')
    .example('$0 --for 60s --report r.json', 'one minute of load, then verify; report in r.json')
    .example(
      '$0 --for 1m --rate 20000 --disorder 0.2 --lateness 0.01 --duplicates 0.01 --malformed 0.005',
      'the same with a high rate and faulty sales',
    )
    .example('$0 my.yaml --workers 3 --fresh', 'your own pipeline, on empty local servers')
    .example('$0 --no-load --for 1s', 'verify the data of earlier runs')
    .epilogue(
      'Data is kept in .local/<pipeline name> between runs, or in .local/<pipeline name>@external with --external.\n' +
        'With --external, PGUSER and PGPASSWORD hold the credentials of PostgreSQL, SECRET_<NAME>_<KEY> those of other ' +
        'Secrets. The verifier reports records that are not in the journal of the load generator as "foreign", and fails.\n' +
        'Exit code: 0 if nothing was lost or counted twice and every row is correct; 1 if not; 2 if the arguments or the ' +
        'file are wrong.',
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
      const problems = problemsOf(argv)
      if (problems.length > 0) throw new Error(problems.join('\n'))
      return true
    })
}

/** Returns all problems of the values; each names its flag. */
function problemsOf(argv: Record<string, unknown>): string[] {
  const number = (name: string) => argv[name] as number | undefined
  const problems = NUMBERS.filter(name => Number.isNaN(number(name))).map(name => `--${name} needs a number`)
  const bounds = (name: string, min: number, max: number, whole: boolean) => {
    const value = number(name)
    if (value === undefined || Number.isNaN(value)) return
    if (value < min || value > max || (whole && !Number.isInteger(value)))
      problems.push(`--${name} must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}, not ${value}`)
  }
  bounds('workers', 1, 64, true)
  bounds('rate', 0, MAX_RATE, false)
  bounds('seed', 0, Number.MAX_SAFE_INTEGER, true)
  for (const name of FRACTIONS) bounds(name, 0, 1, false)
  for (const name of PORTS) bounds(name, 1, MAX_PORT, true)
  if (argv.for !== undefined && !isDuration(argv.for))
    problems.push(`--for must be a duration such as 60s or 5m, not "${argv.for}"`)
  if (argv.report !== undefined && argv.for === undefined)
    problems.push('--report needs --for: only a run with a time limit writes a report')
  if (argv.external && argv.fresh)
    problems.push('--fresh cannot be combined with --external: data on external servers is never deleted')
  if (argv.external)
    problems.push(
      ...PORTS.filter(name => number(name) !== undefined).map(name => `--${name} cannot be combined with --external`),
    )
  return problems
}

function isDuration(text: unknown): boolean {
  try {
    return parseDuration(String(text)) >= 0
  } catch {
    return false
  }
}
