/** Debian packages, unpacked in the cache: nothing is installed, and no service starts. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const CACHE = resolve(process.env.SALESPIPELINE_CACHE ?? join(import.meta.dirname, '../../.cache'))
const run = promisify(execFile)

/**
 * Resolves with the folder of the packages, and downloads them the first time. Rejects with apt's error if this is not
 * Debian. Downloads to a temporary folder first, because two test files may do this at once, and one may be killed.
 * Blocks nothing: an operator that runs in the test's process would lose its lease.
 */
export async function debianPackages(...names: [string, ...string[]]): Promise<string> {
  const folder = join(CACHE, `${names[0]}-debian`)
  if (existsSync(folder)) return folder
  mkdirSync(CACHE, { recursive: true })
  const work = mkdtempSync(join(CACHE, `${names[0]}-`))
  await run('apt-get', ['download', '-q', ...names], { cwd: work })
  for (const archive of readdirSync(work).filter(file => file.endsWith('.deb')))
    await run('dpkg', ['-x', join(work, archive), join(work, 'root')])
  try {
    renameSync(join(work, 'root'), folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  }
  rmSync(work, { recursive: true, force: true })
  return folder
}
