/** Settings shared by all commands that read their arguments with yargs. */
import type { Argv } from 'yargs'
import { UsageError } from '#pipeline/user-error.ts'

const MAX_WIDTH = 120
const HELP = /\nSee [^\n]*\.$/

/**
 * Refuses unknown arguments, wraps the help to the terminal width, and throws instead of exiting: a UsageError for an
 * error that yargs finds. Errors that a command throws are passed on unchanged. `help`: the command that shows the help.
 */
export function strictly<T>(argv: Argv<T>, help?: string): Argv<T> {
  return argv
    .strict()
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns ?? 100))
    .fail((message, error) => {
      if (error && error.name !== 'YError') throw error
      // A UsageError that the conversion of a value throws is a YError here, and already says how to get help.
      throw new UsageError((message ?? error.message).replace(HELP, ''), help)
    })
}
