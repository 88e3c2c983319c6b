/** What all commands have in common that read their arguments with yargs. */
import type { Argv } from 'yargs'
import { UsageError } from '#pipeline/user-error.ts'

const MAX_WIDTH = 120

/**
 * Refuses unknown arguments, wraps the help to the terminal, and throws instead of exiting: UsageError for what yargs
 * finds wrong; whatever a command throws, as it is. `help`: what to type for help.
 */
export function strictly<T>(argv: Argv<T>, help?: string): Argv<T> {
  return argv
    .strict()
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns ?? 100))
    .fail((message, error) => {
      throw !error || error.name === 'YError' ? new UsageError(message ?? error.message, help) : error
    })
}
