/** `npm start`, from the checked arguments to the exit code. */
import { relative } from 'node:path'
import { readTextFile } from '#common/files.ts'
import { lockFolder } from '#local/services/lock.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { type Ending, runBounded } from './bounded.ts'
import { dataFolder, prepareFolder } from './folder.ts'
import { Interrupted, Interruption } from './interruption.ts'
import type { Options } from './options.ts'
import { Screen } from './screen.ts'
import { type Setting, Stage } from './stage.ts'
import { count } from './text.ts'

/** 128 + SIGINT, as shells report it. */
const KILLED = 130

/** Resolves with the exit code. Throws a UserError before anything is started; prints every later failure and returns 1. */
export async function run(options: Options): Promise<number> {
  const text = readTextFile(options.file)
  const pipeline = parsePipeline(text, options.typedFile || relative('', options.file))
  refuseUnverifiable(options, pipeline)
  const folder = dataFolder(pipeline)
  const unlock = await lockFolder(folder.path, 'npm start')
  process.once('exit', unlock)
  await prepareFolder(folder, options.fresh)
  const screen = new Screen(process.stdout)
  const interruption = new Interruption(() => {
    stage.killHard()
    process.exit(KILLED)
  })
  const setting: Setting = { options, text, folder, screen, interruption }
  const stage = new Stage(setting)
  const { code, closing } = await runUntilEnd(stage, setting)
  await stage.takeDown()
  for (const line of closing()) screen.log(line)
  return code
}

async function runUntilEnd(stage: Stage, setting: Setting): Promise<Ending> {
  const { options, interruption } = setting
  try {
    const running = await stage.bringUp()
    if (options.forMs !== undefined) return await runBounded(stage, setting, running)
    stage.phase = 'running'
    running.load?.start()
    return await interruption.ended
  } catch (error) {
    if (!(error instanceof Interrupted)) return { code: 1, closing: () => ['', (error as Error).message] }
    if (options.forMs !== undefined)
      return { code: 1, closing: () => ['', 'Interrupted: the results were not verified.'] }
    return { code: 0, closing: () => farewell(stage, setting) }
  }
}

function farewell({ lastObservation }: Stage, { options, folder }: Setting): string[] {
  const command = (...flags: string[]) => ['npm start', ...withArguments([options.typedFile, ...flags])].join(' ')
  const { sending, committed } = lastObservation ?? {}
  const sent = sending ? `${count(sending.sent)} sales sent in this run. ` : ''
  const total = committed ? `${count(committed.records)} records committed in all runs. ` : ''
  return [
    `Stopped. ${sent}${total}Data is kept in ${relative('', folder.path)}.`,
    `  continue:    ${command()}`,
    `  verify:      ${command('--no-load', '--for', '1s')}`,
    `  start over:  ${command('--fresh')}`,
  ]
}

/** npm passes only the arguments after `--` on to the script. */
function withArguments(args: string[]): string[] {
  const given = args.filter(arg => arg !== '')
  return given.length > 0 ? ['--', ...given] : []
}

/** Throws UsageError for a bounded run on servers with TLS or SASL, which the verifier does not support. */
function refuseUnverifiable({ external, forMs }: Options, { spec }: SalesPipeline): void {
  const { source, sinks } = spec
  const tls = [source.tls, sinks.postgres.tls, sinks.elasticsearch?.tls].some(part => part?.enabled)
  if (external && forMs !== undefined && (tls || source.sasl))
    throw new UsageError(
      '--for cannot be combined with --external when the file uses TLS or SASL: the verifier supports neither',
      'npm start -- --help',
    )
}
