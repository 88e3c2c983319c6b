/**
 * Runs one server and holds the lock of its folder for the process that forks this file (process.ts). Stops the server
 * when that process dies, even by SIGKILL, because the IPC channel between them closes then. Sends `locked`, receives
 * what to launch, sends `started`, and exits when the server and all its children have exited.
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
  /** User for servers that refuse to run as root. */
  user?: User | undefined
  port: number
  stopSignal: NodeJS.Signals
}

export type WatchdogMessage =
  | { type: 'locked' }
  | { type: 'started'; pid: number }
  | { type: 'failed'; message: string }

/** How long a server may take to stop after its parent has died. */
const STOP_WITHIN_MS = 5000

const [name, dataDir, logFile, whenOrphaned] = process.argv.slice(2) as [string, string, string, 'keep' | 'remove']
let orphaned: () => void = () => process.exit(1)
let unlock = () => {}
process.once('disconnect', () => orphaned())
process.once('exit', () => unlock())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {}) // only the parent stops servers

process.once('message', (launch: Launch) => run(launch).catch(fail))
await lockFolder(dataDir, name).then(release => {
  unlock = release
  send({ type: 'locked' })
}, fail)

function send(message: WatchdogMessage): void {
  process.send?.(message)
}

function fail(error: Error): void {
  process.send?.({ type: 'failed', message: error.message }, () => process.exit(1))
}

async function run({ command, args, env, cwd, user, port, stopSignal }: Launch): Promise<void> {
  if (!(await isFree(port)))
    throw new Error(`port ${port} is in use by another program. Stop that program or choose another port`)
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
  server.once('spawn', () => send({ type: 'started', pid: server.pid! }))
  // Not 'exit': the output closes when the last descendant has exited, and only then are port and data free.
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
  } catch {} // it has already exited
}
