/** Files that users name on a command line. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { UserError } from '#pipeline/user-error.ts'

/** A file or folder that the user named cannot be used. */
export class FileError extends UserError {}

/** Returns the file's text. Throws FileError. */
export function readTextFile(file: string): string {
  return namingFile('read', file, () => readFileSync(file, 'utf8'))
}

/** Writes the file and creates missing folders. Throws FileError. */
export function writeTextFile(file: string, text: string): void {
  namingFile('write', file, () => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  })
}

/** Runs `work` and rethrows its errors as a FileError that names the file. */
export function namingFile<T>(verb: 'read' | 'write', file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new FileError(`cannot ${verb} ${file}: ${(error as Error).message}`, { cause: error })
  }
}
