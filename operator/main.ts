/** The operator's process: commands, signals, exit codes. */
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { chance, clock } from '#common/world.ts'
import { SpecError } from '#pipeline/parse.ts'
import { KubeError } from './kube/client.ts'
import { kubeConfig, NoCluster } from './kube/config.ts'
import { runOperator } from './operator.ts'
import { FileError, planCommand } from './plan-command.ts'
import { ENVIRONMENT, readSettings, SettingsError } from './settings.ts'
import { createLog } from './telemetry.ts'

async function run(): Promise<number> {
  const settings = readSettings(process.env)
  const config = kubeConfig()
  const log = createLog(settings.logLevel, settings.identity)
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  const world = { clock, chance, log }
  const ended = await runOperator(config, settings, world, stopping.signal, port => log('info', 'listening', { port }))
  log('info', ended === 'stopped' ? 'stopped' : 'the lease is lost: starting anew')
  return ended === 'stopped' ? 0 : 1
}

async function plan(file: string): Promise<number> {
  process.stdout.write(`${(await planCommand(file)).join('\n')}\n`)
  return 0
}

/** What somebody can put right is told in words; anything else is a bug, with its stack. */
const EXPECTED = [SettingsError, NoCluster, FileError, SpecError, KubeError]

function fail(error: Error): never {
  const isExpected = EXPECTED.some(kind => error instanceof kind)
  process.stderr.write(`${isExpected ? error.message : error.stack}\n`)
  process.exit(error instanceof SettingsError ? 2 : 1)
}

await yargs(hideBin(process.argv))
  .scriptName('operator')
  .usage('$0 [command]\n\nThe SalesPipeline operator: makes what each SalesPipeline asks for, and says how it goes.')
  .command('$0', 'Run it', {}, () => run().then(process.exit, fail))
  .command(
    'plan <file>',
    'Tell what applying FILE would do: what restarts, which results go on. Nothing is changed',
    argv => argv.positional('file', { type: 'string', demandOption: true, describe: 'A SalesPipeline document' }),
    ({ file }) => plan(file).then(process.exit, fail),
  )
  .epilogue(ENVIRONMENT)
  .strict()
  .wrap(Math.min(120, process.stdout.columns ?? 100))
  .fail((message, error) => fail(error ?? new SettingsError(`${message}\nSee --help.`)))
  .parseAsync()
