/**
 * Holds one server and the lock of its folder for the process that asked for it (process.ts forks this file), and ends
 * the server when that process is gone, however it went: the channel between them closes even when it was killed.
 * It says `locked`, is told what to launch, says `started`, and exits when the server and all its children are gone.
 */
import { spawn } from 'node:child_process'
import { createWriteStream, rmSync } from 'node:fs'
import { isFree, type User } from './host.ts'
import { lockFolder } from './lock.ts'

export type Launch = {
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd: string
  /** Servers that refuse root run under this user. */
  user?: User | undefined
  port: number
  stopSignal: NodeJS.Signals
}

export type WatchdogMessage =
  | { type: 'locked' }
  | { type: 'started'; pid: number }
  | { type: 'failed'; message: string }

/** How long a server may take to stop when nobody is left to wait for it. */
const STOP_WITHIN_MS = 5000

const [name, dataDir, logFile, whenOrphaned] = process.argv.slice(2) as [string, string, string, 'keep' | 'remove']
let orphaned: () => void = () => process.exit(1)
let unlock = () => {}
process.once('disconnect', () => orphaned())
process.once('exit', () => unlock())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {}) // the parent decides

process.once('message', (launch: Launch) => run(launch).catch(fail))
await lockFolder(dataDir, name).then(release => {
  unlock = release
  tell({ type: 'locked' })
}, fail)

function tell(message: WatchdogMessage): void {
  process.send?.(message)
}

function fail(error: Error): void {
  process.send?.({ type: 'failed', message: error.message }, () => process.exit(1))
}

async function run({ command, args, env, cwd, user, port, stopSignal }: Launch): Promise<void> {
  if (!(await isFree(port)))
    throw new Error(`port ${port} is taken by another program; end that, or start this one on another port`)
  const log = createWriteStream(logFile, { flags: 'a' })
  const server = spawn(command, args, {
    cwd,
    ...user,
    env: { ...inherited(), ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const output of [server.stdout, server.stderr]) output.pipe(log, { end: false })
  server.once('error', fail)
  server.once('spawn', () => tell({ type: 'started', pid: server.pid! }))
  // Not 'exit': the output closes when the last descendant is gone, and only then are port and data free again.
  server.once('close', () => {
    if (whenOrphaned === 'remove' && !process.connected) rmSync(dataDir, { recursive: true, force: true })
    log.end(() => process.exit(0))
  })
  orphaned = () => {
    signalGroup(server.pid!, stopSignal)
    setTimeout(() => signalGroup(server.pid!, 'SIGKILL'), STOP_WITHIN_MS)
  }
}

function inherited(): NodeJS.ProcessEnv {
  const { NODE_CHANNEL_FD: _, ...env } = process.env
  return env
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {} // it is gone already
}
