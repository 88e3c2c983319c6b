/** `producer check` on the command line. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { readTextFile } from '#common/files.ts'
import { writeLines } from '#common/output.ts'
import { rememberSecret } from '#common/redact.ts'
import { exitOnSignals } from '#common/run-main.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { durationOption, readPipeline } from '../options.ts'
import { TOKEN_VARIABLE } from './ingest.ts'

const EPILOGUE = `Waits until the ingest is ready and sends one sale. All string fields of the sale have the value check-<random>. Then it waits for the sale's row in every aggregation that groups by a string field, and for the documents of these rows. It compares their values with the sale, digit by digit. The sale stays in the results.

Exit code: 0 if all values are exact; 1 if a value differs or is missing at the timeout. The message names the cause.

It connects as a worker does: with SECRET_<NAME>_<KEY> for the Secrets of the sinks, otherwise with PGUSER and PGPASSWORD.`

function options<T>(argv: Argv<T>) {
  return argv
    .option('file', {
      type: 'string',
      demandOption: true,
      describe: 'Path of the SalesPipeline YAML file; the check connects to its stores',
    })
    .option('url', {
      type: 'string',
      demandOption: true,
      coerce: urlOption,
      describe: 'Address of the ingest, without the topic',
    })
    .option('token-file', {
      type: 'string',
      describe: `File with the token that the ingest requires; otherwise the environment variable ${TOKEN_VARIABLE} is used`,
    })
    .option('timeout', {
      type: 'string',
      default: '3m',
      coerce: durationOption('timeout'),
      describe: 'Time limit for all steps together; allow some minutes while the pipeline starts',
    })
    .example(
      '$0 check --file k8s/examples/ecommerce.yaml --url http://localhost:8000',
      'with serve on the same machine',
    )
    .example('$0 check --file /etc/salespipeline/processor.yaml --url http://ecommerce-ingest', 'in a cluster')
    .epilogue(EPILOGUE)
}

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addCheck(argv: Argv): Argv {
  return argv.command('check', 'Send one sale over HTTP and read it back from every sink', options, run)
}

async function run({ file, url, tokenFile, timeout }: Flags): Promise<void> {
  exitOnSignals()
  const output = {
    step: (line: string) => writeLines(process.stdout, line),
    progress: (line: string) => writeLines(process.stderr, line),
  }
  // Imported here, so that serve and load do not load the stores' clients.
  const { check } = await import('./check.ts')
  const { env } = process
  await check({
    pipeline: readPipeline(file, {}),
    url,
    token: tokenOf(tokenFile, env),
    timeoutMs: timeout,
    output,
    env,
  })
}

function tokenOf(file: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  const token = file === undefined ? env[TOKEN_VARIABLE] : readTextFile(file).trim()
  return rememberSecret(token === '' ? undefined : token)
}

/** The message does not repeat the value, which may contain a password. */
function urlOption(text: string): string {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError('--url must be an address such as http://localhost:8000')
  if (url.username || url.password)
    throw new UsageError(
      '--url must not contain a user name or password, because other users of this machine can read command-line arguments. Remove them from the URL',
    )
  return url.href.replace(/\/+$/, '')
}
