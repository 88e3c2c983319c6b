/** Errors that the user of a command can fix. Any other error that ends a program is a bug. */

/** The message says what is wrong, with the value found, and what to do. Commands print it without a stack. */
export class UserError extends Error {}

/** The command line or the environment is wrong. The message ends with how to get help. */
export class UsageError extends UserError {
  /** `help`: the command or flag that shows the help. */
  constructor(message: string, help = '--help') {
    super(`${message}\nSee ${help}.`)
  }
}
