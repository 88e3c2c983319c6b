/** The producer: `serve` accepts sales over HTTP, `load` simulates them, `check` follows one of them to the sinks. */
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { strictly } from '#common/command-line.ts'
import { runMain } from '#common/run-main.ts'
import { addCheck } from './check/command.ts'
import { addLoad } from './load-command.ts'
import { addServe } from './serve/command.ts'

const commands = yargs(hideBin(process.argv))
  .scriptName('node producer/main.ts')
  .usage('$0 <command>\n\nSends sales to the topic of a SalesPipeline.')
  .demandCommand(1, 'Name a command: serve, load or check.')
  .epilogue(
    'Passwords come from the environment: SECRET_<NAME>_<KEY> stands for key KEY of Secret NAME that the file names.\n' +
      'Tracing is on where OTEL_EXPORTER_OTLP_ENDPOINT is set; telemetry.traceSampling of the file says how many sales.\n' +
      'Exit code: 0 when all went well, 1 for every failure; the message says what to do.',
  )

async function main(): Promise<number> {
  await strictly(addCheck(addLoad(addServe(commands)))).parseAsync()
  return 0
}

await runMain(main, { exitCodeOf: () => 1 })
