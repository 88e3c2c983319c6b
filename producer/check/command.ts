/** `producer check` on the command line. */
import { constants } from 'node:os'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { UsageError } from '#pipeline/user-error.ts'
import { durationOption, readPipeline } from '../options.ts'

const EPILOGUE = `Waits until the ingest is ready and sends it one sale whose texts are check-<random>. Then it waits for the sale's row in every aggregation that groups by a string field, and for the documents of these rows, and compares what they hold with what was sent, digit by digit. The sale stays in the results.

Exit code 0: all is exact. 1: it is not, or it does not come in time; the message names what is at fault.

It connects as a worker does: SECRET_<NAME>_<KEY> for the Secrets of the sinks, else PGUSER and PGPASSWORD.`

function options<T>(argv: Argv<T>) {
  return argv
    .option('file', {
      type: 'string',
      demandOption: true,
      describe: 'The SalesPipeline document, with the stores that it names',
    })
    .option('url', {
      type: 'string',
      demandOption: true,
      coerce: urlOption,
      describe: 'Where the ingest listens; the topic is added',
    })
    .option('timeout', {
      type: 'string',
      default: '3m',
      coerce: durationOption,
      describe: 'For all steps together; a pipeline that is just being started needs minutes',
    })
    .example('$0 check --file k8s/examples/ecommerce.yaml --url http://localhost:8000', 'beside serve on one machine')
    .example('$0 check --file /etc/salespipeline/processor.yaml --url http://ecommerce-ingest', 'in a cluster')
    .epilogue(EPILOGUE)
}

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addCheck(argv: Argv): Argv {
  return argv.command('check', 'Send one sale over HTTP and read it back from every sink', options, run)
}

async function run({ file, url, timeout }: Flags): Promise<void> {
  // The first process of a container is not ended by a signal that it does not handle.
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
  const say = {
    step: (line: string) => void process.stdout.write(`${line}\n`),
    progress: (line: string) => void process.stderr.write(`${line}\n`),
  }
  // The stores' clients: serve and load shall not pay for them.
  const { check } = await import('./check.ts')
  await check({ pipeline: readPipeline(file, {}), url, timeoutMs: timeout, say, env: process.env })
}

/** The message does not repeat it: it may hold a password. */
function urlOption(text: string): string {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError('--url must be an address such as http://localhost:8000')
  if (url.username || url.password) throw new UsageError('--url may hold no password: everybody sees arguments')
  return url.href.replace(/\/+$/, '')
}
