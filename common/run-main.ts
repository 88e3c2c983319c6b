/** How every command starts and ends: one form of errors, one set of exit codes. */
import { SpecError } from '#pipeline/parse.ts'
import { UsageError, UserError } from '#pipeline/user-error.ts'
import { FileError } from './files.ts'

/** 128 + SIGPIPE: what shells report of a program whose reader is gone, as in `… | head`. */
const BROKEN_PIPE = 141

export type MainOptions = {
  /** In place of `exitCodeOf`. */
  exitCodeOf?: (error: unknown) => number
  /** Called with every outcome, right before the process exits. */
  beforeExit?: () => Promise<void>
}

/**
 * Runs a command and exits with the code that it resolves with. When it throws:
 *
 * - a UserError: prints its message, for the person who runs it;
 * - anything else is a bug: prints the stack and says so. The same for an exception or a rejection that nobody caught.
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

/** 2: the command line, the settings or the document are wrong. 1: everything else. */
export function exitCodeOf(error: unknown): number {
  return [UsageError, FileError, SpecError].some(kind => error instanceof kind) ? 2 : 1
}

function report(error: unknown): void {
  process.stderr.write(`${error instanceof UserError ? error.message : bugReport(error)}\n`)
}

function bugReport(error: unknown): string {
  const stack = error instanceof Error ? error.stack : String(error)
  return `This is a bug in SalesPipeline: please report it with these lines.\n${stack}`
}

/** Pipes are written asynchronously on some systems. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}
