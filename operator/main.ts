/** The operator's process: commands, signals, exit codes. */
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { strictly } from '#common/command-line.ts'
import { writeLines } from '#common/output.ts'
import { runMain } from '#common/run-main.ts'
import { chance, clock } from '#common/world.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { kubeConfig } from './kube/config.ts'
import { runOperator } from './operator.ts'
import { planCommand } from './plan-command.ts'
import { ENVIRONMENT, readSettings } from './settings.ts'
import { createLog } from './telemetry.ts'

/** Resolves with the exit code. */
async function run(): Promise<number> {
  const settings = readSettings(process.env)
  const config = kubeConfig()
  const log = createLog(settings.logLevel, settings.identity)
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  const world = { clock, chance, log }
  const ended = await runOperator(config, settings, world, stopping.signal, port => log('info', 'listening', { port }))
  log('info', ended === 'stopped' ? 'stopped' : 'lost leader lease; exiting to restart')
  return ended === 'stopped' ? 0 : 1
}

async function main(): Promise<number> {
  let code = 0
  const commands = yargs(hideBin(process.argv))
    .scriptName('operator')
    .usage(
      '$0 [command]\n\nThe SalesPipeline operator: creates the objects of each SalesPipeline and reports its status.',
    )
    .command('$0', 'Run the operator', {}, async () => {
      code = await run()
    })
    .command(
      'plan <file>',
      'Show what would happen if you apply <file>: what restarts and which results continue. This command changes nothing',
      argv =>
        argv.positional('file', {
          type: 'string',
          demandOption: true,
          describe: 'Path of the SalesPipeline YAML file',
        }),
      async ({ file }) => writeLines(process.stdout, (await planCommand(file)).join('\n')),
    )
    .epilogue(ENVIRONMENT)
  await strictly(commands).parseAsync()
  return code
}

await runMain(main, { exitCodeOf: error => (error instanceof UsageError ? 2 : 1) })
