/** `producer load` on the command line: flags, progress, signals, report. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { writeTextFile } from '#common/files.ts'
import { writeLines } from '#common/output.ts'
import { reportUsage } from '#common/parent.ts'
import { type LoadReport, type LoadRun, type LoadStats, startLoad } from './load.ts'
import {
  brokersOf,
  durationOption,
  type Overrides,
  pipelineOptions,
  readPipeline,
  reportWaiting,
  watchSecrets,
} from './options.ts'

const PROGRESS_MS = 1000
const OVERRIDES = 'Override spec.load:'

function options<T>(argv: Argv<T>) {
  return pipelineOptions(argv)
    .option('for', {
      type: 'string',
      coerce: durationOption('for'),
      describe: 'Stop after this time, such as 60s; without it, run until SIGTERM or Ctrl-C',
    })
    .option('count', {
      type: 'number',
      conflicts: 'for',
      describe:
        'Send this many sales as fast as Kafka accepts them, to create a backlog. The rate then only sets the distance between their event times',
    })
    .option('journal', { type: 'string', describe: 'Folder for the journal of sent and acknowledged records' })
    .option('report', { type: 'string', describe: 'File for the report; default: standard output' })
    .option('rate', { type: 'number', group: OVERRIDES, describe: 'Events per second' })
    .option('profile', {
      type: 'string',
      group: OVERRIDES,
      describe: 'ecommerce, anomalies, black-friday, sales-map or product-sales',
    })
    .option('seed', {
      type: 'number',
      group: OVERRIDES,
      describe: 'The same --seed and --start-at generate the same sales',
    })
    .option('start-at', { type: 'string', group: OVERRIDES, describe: 'Event time of the first sale, RFC 3339' })
    .option('speed', {
      type: 'number',
      group: OVERRIDES,
      describe: 'How fast event time runs: 1 is real time, 10 is ten times faster',
    })
    .option('keys', { type: 'number', group: OVERRIDES, describe: 'Number of different stores, products or customers' })
    .option('key-skew', { type: 'number', group: OVERRIDES, describe: 'Zipf exponent; 0 is uniform' })
    .option('disorder', {
      type: 'number',
      group: OVERRIDES,
      describe: 'Fraction of events that arrive out of order, but not too late',
    })
    .option('lateness', {
      type: 'number',
      group: OVERRIDES,
      describe: 'Fraction of events that arrive too late for their window',
    })
    .option('duplicates', { type: 'number', group: OVERRIDES, describe: 'Fraction of events sent twice' })
    .option('malformed', {
      type: 'number',
      group: OVERRIDES,
      describe: 'Fraction of events that are malformed or malicious',
    })
    .example('$0 load --file k8s/examples/ecommerce.yaml --rate 500 --for 1m', '500 sales a second for a minute')
    .example(
      '$0 load --file k8s/examples/ecommerce.yaml --rate 20000 --count 2000000',
      'a backlog of 2000000 sales with event times over 100 s',
    )
    .example(
      '$0 load --file k8s/examples/black-friday.yaml --duplicates 0.05 --malformed 0.01',
      'load with duplicates and malformed sales, until Ctrl-C',
    )
}

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addLoad(argv: Argv): Argv {
  return argv.command('load', 'Send simulated sales on a fixed schedule, even if Kafka is slow', options, run)
}

async function run(flags: Flags): Promise<void> {
  const { for: forMs, count, journal } = flags
  const pipeline = readPipeline(flags.file, overridesOf(flags))
  const opening = startLoad({
    pipeline,
    ...(forMs !== undefined && { forMs }),
    ...(count !== undefined && { count }),
    ...(journal !== undefined && { journal }),
  })
  const load = await reportWaiting(pipeline, opening)
  handleSignals(load)
  watchSecrets()
  const report = await reportProgress(load)
  const text = JSON.stringify(report, null, 2)
  if (flags.report === undefined) writeLines(process.stdout, text)
  else writeTextFile(flags.report, `${text}\n`)
  sendToParent('report', report)
  await reportUsage()
}

function overridesOf(flags: Flags): Overrides {
  const { rate, profile, seed, startAt, speed, keys, keySkew } = flags
  const fraction = (value: number | undefined) => (value === undefined ? undefined : { fraction: value })
  return {
    source: { bootstrapServers: brokersOf(flags.bootstrap) },
    load: {
      rate,
      profile,
      seed,
      startAt,
      speed,
      keys,
      keySkew,
      disorder: fraction(flags.disorder),
      lateness: fraction(flags.lateness),
      duplicates: fraction(flags.duplicates),
      malformed: fraction(flags.malformed),
    },
  }
}

/** Stops the run on a signal or when the parent exits. The parent may change the rate: `{ type: 'rate', rate: 500 }`. */
function handleSignals(run: LoadRun): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void run.stop())
  process.once('disconnect', () => void run.stop())
  process.on('message', (message: { type?: unknown; rate?: unknown }) => {
    if (message?.type === 'rate' && Number(message.rate) >= 0) run.setRate(Number(message.rate))
  })
}

/** Writes a line to standard error and a message to the parent each second. Resolves with the report of the run. */
async function reportProgress(run: LoadRun): Promise<LoadReport> {
  let before = run.stats()
  const timer = setInterval(() => {
    const stats = run.stats()
    writeLines(process.stderr, progressLine(stats, before))
    sendToParent('stats', stats)
    before = stats
  }, PROGRESS_MS)
  return run.finished.finally(() => clearInterval(timer))
}

function progressLine(stats: LoadStats, before: LoadStats): string {
  const perSecond = (count: 'offered' | 'acknowledged') =>
    Math.round(((stats[count] - before[count]) * 1000) / PROGRESS_MS)
  const { sent, acknowledged, unknown, behindMs } = stats
  return (
    `offered ${perSecond('offered')}/s, acknowledged ${perSecond('acknowledged')}/s; ` +
    `sent ${sent}, acknowledged ${acknowledged}, without response ${unknown}, ${behindMs} ms behind schedule`
  )
}

function sendToParent(type: 'stats' | 'report', message: LoadStats | LoadReport): void {
  if (process.connected) process.send?.({ type, ...message })
}
