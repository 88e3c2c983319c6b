/** Runs a command's main function with the error format and the exit codes that all commands share. */
import { constants } from 'node:os'
import { SpecError } from '#pipeline/parse.ts'
import { UsageError, UserError } from '#pipeline/user-error.ts'
import { FileError } from './files.ts'
import { writeLines } from './output.ts'
import { redactText, reportText } from './redact.ts'

/** 128 + SIGPIPE: the exit code that shells report when a program's reader has closed the pipe, as in `… | head`. */
const BROKEN_PIPE = 141

export type MainOptions = {
  /** Replaces `exitCodeOf`. */
  exitCodeOf?: (error: unknown) => number
  /** Called right before the process exits, whatever the result; not after an uncaught exception or a closed pipe. */
  beforeExit?: () => Promise<void>
}

/**
 * Runs a command and exits with the code that it resolves with. When it throws:
 *
 * - for a UserError, it prints the message, which tells the user what to do;
 * - anything else is a bug: it prints the stack and says so, as for uncaught exceptions and rejections.
 */
export async function runMain(main: () => Promise<number>, options: MainOptions = {}): Promise<void> {
  const { exitCodeOf: codeOf = exitCodeOf, beforeExit } = options
  process.on('uncaughtException', error => {
    report(error)
    process.exit(codeOf(error))
  })
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(BROKEN_PIPE)
    throw error
  })
  const code = await main().catch((error: unknown) => {
    report(error)
    return codeOf(error)
  })
  await beforeExit?.()
  for (const stream of [process.stdout, process.stderr]) await flushed(stream)
  process.exit(code)
}

/** Exits at once on SIGTERM and SIGINT: a container's first process ignores signals without a handler. */
export function exitOnSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
}

/** Returns 2 when the command line, the settings or the document are wrong, and 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  return [UsageError, FileError, SpecError].some(kind => error instanceof kind) ? 2 : 1
}

function report(error: unknown): void {
  writeLines(process.stderr, error instanceof UserError ? redactText(error.message) : reportText(bugReport(error)))
}

function bugReport(error: unknown): string {
  const stack = error instanceof Error ? error.stack : String(error)
  return `This is a bug in SalesPipeline: please report it with these lines.\n${stack}`
}

/** Waits for pending output, because some systems write to pipes asynchronously. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}
