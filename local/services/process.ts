/** A server as a child process: started with a readiness check, stopped cleanly or killed, started again on its data. */
import { fork } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'

export type ServerSpec = {
  name: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Servers that refuse root run under this user. */
  user?: { uid: number; gid: number } | undefined
  logFile: string
  /** Answers true once the server serves. */
  isReady: () => Promise<boolean>
  readyWithinMs: number
  stopSignal?: NodeJS.Signals
}

const STOP_WITHIN_MS = 30_000
const POLL_MS = 100

/** One server. `stop` and `kill` resolve when it is gone; `start` brings it back on the same port and data. */
export class ServerProcess {
  readonly spec: ServerSpec
  pid = 0
  /** Resolves at its end, wanted or not, with what the log said last. */
  exited: Promise<string> = Promise.resolve('')

  constructor(spec: ServerSpec) {
    this.spec = spec
  }

  get name(): string {
    return this.spec.name
  }

  /** Throws an Error with the log's last lines when it ends or does not serve in time. */
  async start(): Promise<void> {
    const { name, command, args, env, cwd, user, logFile, isReady, readyWithinMs } = this.spec
    mkdirSync(dirname(logFile), { recursive: true })
    const options = { env: { ...process.env, ...env }, cwd, ...user }
    const watchdog = fork(join(import.meta.dirname, 'watchdog.mjs'), [JSON.stringify({ command, args, options, logFile })], {
      detached: true, // a Ctrl-C in the terminal must not reach it: we stop servers in order
      stdio: 'ignore',
      execArgv: [],
    })
    let ended = false
    this.exited = new Promise(resolve => {
      watchdog.once('exit', () => {
        ended = true
        resolve(lastLines(logFile))
      })
    })
    this.pid = await new Promise<number>((resolve, reject) => {
      watchdog.once('message', (message: { type: string; pid?: number; message?: string }) =>
        message.type === 'started' ? resolve(message.pid!) : reject(new Error(`${name}: ${message.message}`)),
      )
      watchdog.once('exit', () => reject(new Error(`${name} did not start`)))
    })
    watchdog.unref()
    watchdog.channel?.unref()
    for (const deadline = Date.now() + readyWithinMs; !(await isReady().catch(() => false)); await pause(POLL_MS)) {
      if (ended) throw new Error(`${name} ended while starting. Its log (${logFile}) says:\n${lastLines(logFile)}`)
      if (Date.now() > deadline) {
        await this.kill()
        throw new Error(`${name} did not serve within ${readyWithinMs / 1000} s. Its log (${logFile}) says:\n${lastLines(logFile)}`)
      }
    }
  }

  async stop(): Promise<void> {
    if (this.pid === 0) return
    signalTo(this.pid, this.spec.stopSignal ?? 'SIGTERM')
    const timer = setTimeout(() => signalTo(-this.pid, 'SIGKILL'), STOP_WITHIN_MS)
    await this.exited
    clearTimeout(timer)
    this.pid = 0
  }

  /** SIGKILL to the whole process group. */
  async kill(): Promise<void> {
    if (this.pid === 0) return
    signalTo(-this.pid, 'SIGKILL')
    await this.exited
    this.pid = 0
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: it is gone already
  }
}

function lastLines(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n') : ''
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** The unprivileged user for servers that refuse root; undefined when we are not root. */
export function unprivilegedUser(): { uid: number; gid: number } | undefined {
  return userInfo().uid === 0 ? { uid: 65_534, gid: 65_534 } : undefined // nobody, nogroup
}

/** A port that is free now on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

/** The wanted port, else the one that this data folder used last, else a free one. Remembered in the folder. */
export async function stablePort(dataDir: string, name: string, wanted: number | undefined): Promise<number> {
  const file = join(dataDir, `${name}.port`)
  const port = wanted ?? (existsSync(file) ? Number(readFileSync(file, 'utf8')) : await freePort())
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(file, String(port))
  return port
}

/** One run at a time on a data folder. Throws an Error that names the holder. Answers how to let go. */
export function lockFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true })
  const file = join(dataDir, 'lock')
  const holder = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  if (holder > 0 && holder !== process.pid && isAlive(holder))
    throw new Error(`${dataDir} is in use by process ${holder}; stop that run first, or run another pipeline`)
  rmSync(file, { force: true })
  appendFileSync(file, String(process.pid))
  return () => rmSync(file, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
