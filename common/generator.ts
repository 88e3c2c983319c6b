/** What the commands have in common that write derived files, such as `npm run crd`. */
import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { readTextFile, writeTextFile } from './files.ts'
import { writeLines } from './output.ts'
import { runMain } from './run-main.ts'

const ROOT = resolve(import.meta.dirname, '..')

/** `files`: path and text of each file. Writes a file before it asks for the next one, and prints which ones it changed. */
export function runGenerator(files: () => Iterable<readonly [path: string, text: string]>): Promise<void> {
  return runMain(async () => {
    for (const [path, text] of files()) {
      const isSame = existsSync(path) && readTextFile(path) === text
      if (!isSame) writeTextFile(path, text)
      writeLines(process.stdout, `${isSame ? 'unchanged' : 'written'}: ${relative(ROOT, path)}`)
    }
    return 0
  })
}
