/** The producer: `serve` accepts sales over HTTP, `token` admits a client to it, `load` simulates sales, `check` follows one sale to the sinks. */
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { strictly } from '#common/command-line.ts'
import { runMain } from '#common/run-main.ts'
import { addCheck } from './check/command.ts'
import { addLoad } from './load-command.ts'
import { addServe } from './serve/command.ts'
import { addToken } from './token-command.ts'

const commands = yargs(hideBin(process.argv))
  .scriptName('node producer/main.ts')
  .usage('$0 <command>\n\nSends sales to the topic of a SalesPipeline.')
  .demandCommand(1, 'No command given. Use serve, token, load or check.')
  .epilogue(
    'Set passwords, keys and certificates as environment variables: SECRET_<NAME>_<KEY> holds the value of key KEY of the Secret NAME that the file names.\n' +
      'Set OTEL_EXPORTER_OTLP_ENDPOINT to trace sales; spec.telemetry.traceSampling is the fraction of sales traced.\n' +
      'Exit code: 0 on success, 1 on every failure; the message says what to do.',
  )

async function main(): Promise<number> {
  await strictly(addCheck(addLoad(addToken(addServe(commands))))).parseAsync()
  return 0
}

await runMain(main, { exitCodeOf: () => 1 })
