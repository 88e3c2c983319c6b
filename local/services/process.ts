/** A server as a child process: started until ready, stopped cleanly or killed, restarted on its data. */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, reservePort } from './host.ts'
import type { Launch, WatchdogMessage } from './watchdog.ts'

/** Receives progress messages, one line each. */
export type Progress = (line: string) => void

export type ServerOptions = {
  /** Data, logs, port and lock; created if it is missing. */
  dataDir: string
  /** Default: the port of the last start on this folder, or a free one. */
  port?: number | undefined
  progress?: Progress
  /** Called with the server before it starts, so that it can be stopped before it serves. */
  onStarting?: ((server: ServerProcess) => void) | undefined
  /** If true, the folder is deleted when the process that started the server dies before it stops it. */
  temporary?: boolean
}

export type ServerSpec = {
  name: string
  dataDir: string
  temporary?: boolean | undefined
  /** Called before every start, with the folder locked. Creates what is missing and resolves with what to run. */
  prepare: () => Promise<Launch>
  /** Resolves with true once the server serves. Rejects or resolves with false until then. */
  isReady: () => Promise<boolean>
  readyWithinMs: number
}

const STOP_WITHIN_MS = 30_000
const POLL_MS = 100
const LOG_LINES = 20

/** One server. `stop` and `kill` resolve when it has exited; `start` restarts it on the same port and data. */
export class ServerProcess {
  readonly name: string
  readonly logFile: string
  /** 0 while the server does not run. */
  pid = 0
  /** Resolves with the last log lines when the server exits, stopped or not. */
  exited: Promise<string> = Promise.resolve('')
  readonly #spec: ServerSpec
  #watchdog: ChildProcess | undefined
  #stopSignal: NodeJS.Signals = 'SIGTERM'

  constructor(spec: ServerSpec) {
    this.name = spec.name
    this.logFile = join(spec.dataDir, `${spec.name.toLowerCase()}.log`)
    this.#spec = spec
  }

  /** Throws an Error with the last log lines when the server exits or does not serve in time. */
  async start(): Promise<void> {
    if (this.pid !== 0) throw new Error(`${this.name} is already running (pid ${this.pid})`)
    const watchdog = this.#forkWatchdog()
    this.#watchdog = watchdog
    try {
      await this.#nextMessage(watchdog, 'locked')
      const launch = await this.#spec.prepare()
      this.#stopSignal = launch.stopSignal
      watchdog.send(launch)
      this.pid = await this.#nextMessage(watchdog, 'started')
    } catch (error) {
      if (watchdog.connected) watchdog.disconnect() // makes it release the folder and exit
      await this.exited
      throw error
    }
    watchdog.unref()
    watchdog.channel?.unref()
    await this.#untilReady()
  }

  async stop(): Promise<void> {
    if (this.pid === 0) return
    signalTo(this.pid, this.#stopSignal)
    const timer = setTimeout(() => this.kill(), STOP_WITHIN_MS)
    await this.#untilExited()
    clearTimeout(timer)
  }

  /** SIGKILL to the whole process group. */
  async kill(): Promise<void> {
    if (this.pid === 0) return
    signalTo(-this.pid, 'SIGKILL')
    await this.#untilExited()
  }

  async #untilExited(): Promise<void> {
    this.#watchdog?.ref() // otherwise a process with nothing else to do would exit earlier
    await this.exited
  }

  #forkWatchdog(): ChildProcess {
    const { name, dataDir, temporary } = this.#spec
    mkdirSync(dataDir, { recursive: true })
    const watchdog = fork(
      join(import.meta.dirname, 'watchdog.ts'),
      [name, dataDir, this.logFile, temporary ? 'remove' : 'keep'],
      {
        detached: true, // Ctrl-C in the terminal must not reach it: we stop servers in order
        stdio: 'ignore',
        execArgv: [],
      },
    )
    this.exited = new Promise(resolve =>
      watchdog.once('exit', () => {
        this.pid = 0
        resolve(this.#lastLines())
      }),
    )
    return watchdog
  }

  /** Resolves with the pid in the watchdog's next message, or 0. Throws an Error if it is not the expected one. */
  async #nextMessage(watchdog: ChildProcess, expected: WatchdogMessage['type']): Promise<number> {
    const exited: Promise<WatchdogMessage> = this.exited.then(lines => ({
      type: 'failed',
      message: `it exited. ${this.#describeLog(lines)}`,
    }))
    const next = new Promise<WatchdogMessage>(resolve =>
      watchdog.once('message', resolve as (message: unknown) => void),
    )
    const message = await Promise.race([next, exited])
    if (message.type === expected) return message.type === 'started' ? message.pid : 0
    throw new Error(`${this.name} cannot start: ${message.type === 'failed' ? message.message : message.type}`)
  }

  async #untilReady(): Promise<void> {
    const { isReady, readyWithinMs } = this.#spec
    for (const deadline = Date.now() + readyWithinMs; ; await pause(POLL_MS)) {
      const serves = await isReady().catch(() => false)
      if (this.pid === 0) throw new Error(`${this.name} exited while starting. ${this.#describeLog()}`)
      if (serves) return
      if (Date.now() < deadline) continue
      await this.kill()
      throw new Error(
        `${this.name} was not ready within ${readyWithinMs / 1000} s. The machine may be too busy or short of memory. ${this.#describeLog()}`,
      )
    }
  }

  #describeLog(lastLines = this.#lastLines()): string {
    return `Its log (${this.logFile}) ends with:\n${lastLines}`
  }

  #lastLines(): string {
    return existsSync(this.logFile)
      ? readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n')
      : ''
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: it has already exited
  }
}

/** Returns the requested port, else the last port of this data folder if it is free and not reserved, else a free one. Stores it there. */
export async function stablePort(dataDir: string, name: string, requested: number | undefined): Promise<number> {
  mkdirSync(dataDir, { recursive: true })
  const file = join(dataDir, `${name}.port`)
  const last = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  const port = requested ?? (last > 0 && (await reservePort(last)) ? last : await freePort())
  writeFileSync(file, String(port))
  return port
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
