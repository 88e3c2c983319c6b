/** Locks a data folder for one process: a file in it names the process that holds it. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '#pipeline/user-error.ts'

/** A holder whose parent was killed needs this long to stop its server. */
const WAIT_MS = 8000
const POLL_MS = 200

/**
 * Locks the folder for this process. `name` names the holder in the errors of other processes. Resolves with the
 * function that releases it. Waits some seconds for a holder that is exiting, then throws a UserError that names it.
 */
export async function lockFolder(dataDir: string, name: string): Promise<() => void> {
  mkdirSync(dataDir, { recursive: true })
  const file = join(dataDir, 'lock')
  for (const deadline = Date.now() + WAIT_MS; ; await sleep(POLL_MS)) {
    if (create(file, `${process.pid} ${name}`)) return () => rmSync(file, { force: true })
    const [pid, holder] = readHolder(file)
    if (!isAlive(pid)) rmSync(file, { force: true })
    else if (Date.now() > deadline)
      throw new UserError(
        `${dataDir} is locked by ${holder} (pid ${pid}). Stop it first. If the process with this pid is another program, the lock is old: delete ${file}`,
      )
  }
}

function create(file: string, holder: string): boolean {
  try {
    writeFileSync(file, holder, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(file: string): [pid: number, name: string] {
  try {
    const [pid, ...name] = readFileSync(file, 'utf8').split(' ')
    return [Number(pid), name.join(' ')]
  } catch {
    return [0, ''] // released in the meantime
  }
}

/** Returns true if the process exists, regardless of its owner. */
export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // alive, under another user
  }
}
