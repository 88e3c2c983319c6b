/** `producer token`: creates a token for a client of the ingest. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { writeLines } from '#common/output.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { CLIENT_NAME, createToken } from './serve/auth/tokens.ts'

function options<T>(argv: Argv<T>) {
  return argv
    .option('client', {
      type: 'string',
      demandOption: true,
      coerce: clientOption,
      describe: 'Name of the client, which metrics show: letters, digits, - _ . (at most 63)',
    })
    .example('$0 token --client shop-app', 'prints the token, and the line for the file of serve --tokens')
}

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addToken(argv: Argv): Argv {
  return argv.command('token', 'Create a token for a client of the ingest', options, run)
}

function run({ client }: Flags): void {
  const { token, line } = createToken(client)
  writeLines(
    process.stdout,
    `Token for ${client}. It is shown only now; give it to the client:\n${token}\n\nLine for the file of tokens. Earlier lines of the client stay valid until you remove them:\n${line}`,
  )
}

function clientOption(name: string): string {
  if (CLIENT_NAME.test(name)) return name
  throw new UsageError(
    '--client must be at most 63 letters, digits, - _ . and begin with a letter or a digit, such as shop-app',
  )
}
