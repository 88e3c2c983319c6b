/** A server as a child process: started with a readiness check, stopped cleanly or killed, started again on its data. */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, isFree } from './host.ts'
import type { Launch, WatchdogMessage } from './watchdog.ts'

/** Told what is going on, a line at a time. */
export type Progress = (line: string) => void

export type ServerOptions = {
  /** Data, logs, port and lock; created if it is missing. */
  dataDir: string
  /** Without one: the port of the last start on this folder, else a free one. */
  port?: number | undefined
  progress?: Progress
  /** Given the server before it starts, so that it can be stopped before it serves. */
  onStarting?: ((server: ServerProcess) => void) | undefined
  /** The folder is removed should the process that started the server die before it stopped it. */
  temporary?: boolean
}

export type ServerSpec = {
  name: string
  dataDir: string
  temporary?: boolean | undefined
  /** Called with the folder locked, before every start: creates what is missing and says what to run. */
  prepare: () => Promise<Launch>
  /** Answers true once the server serves; a rejection means not yet. */
  isReady: () => Promise<boolean>
  readyWithinMs: number
}

const STOP_WITHIN_MS = 30_000
const POLL_MS = 100
const LOG_LINES = 20

/** One server. `stop` and `kill` resolve when it is gone; `start` brings it back on the same port and data. */
export class ServerProcess {
  readonly name: string
  readonly logFile: string
  /** 0 while it does not run. */
  pid = 0
  /** Resolves at its end, wanted or not, with what the log said last. */
  exited: Promise<string> = Promise.resolve('')
  readonly #spec: ServerSpec
  #watchdog: ChildProcess | undefined
  #stopSignal: NodeJS.Signals = 'SIGTERM'

  constructor(spec: ServerSpec) {
    this.name = spec.name
    this.logFile = join(spec.dataDir, `${spec.name.toLowerCase()}.log`)
    this.#spec = spec
  }

  /** Throws an Error that says what to do, with the log's last lines, when it ends or does not serve in time. */
  async start(): Promise<void> {
    if (this.pid !== 0) throw new Error(`${this.name} runs already (process ${this.pid})`)
    const watchdog = this.#forkWatchdog()
    this.#watchdog = watchdog
    try {
      await this.#answer(watchdog, 'locked')
      const launch = await this.#spec.prepare()
      this.#stopSignal = launch.stopSignal
      watchdog.send(launch)
      this.pid = await this.#answer(watchdog, 'started')
    } catch (error) {
      if (watchdog.connected) watchdog.disconnect() // it lets the folder go and ends
      await this.exited
      throw error
    }
    watchdog.unref()
    watchdog.channel?.unref()
    await this.#ready()
  }

  async stop(): Promise<void> {
    if (this.pid === 0) return
    signalTo(this.pid, this.#stopSignal)
    const timer = setTimeout(() => this.kill(), STOP_WITHIN_MS)
    await this.#gone()
    clearTimeout(timer)
  }

  /** SIGKILL to the whole process group. */
  async kill(): Promise<void> {
    if (this.pid === 0) return
    signalTo(-this.pid, 'SIGKILL')
    await this.#gone()
  }

  async #gone(): Promise<void> {
    this.#watchdog?.ref() // otherwise a process with nothing else to do would end before it
    await this.exited
  }

  #forkWatchdog(): ChildProcess {
    const { name, dataDir, temporary } = this.#spec
    mkdirSync(dataDir, { recursive: true })
    const watchdog = fork(
      join(import.meta.dirname, 'watchdog.ts'),
      [name, dataDir, this.logFile, temporary ? 'remove' : 'keep'],
      {
        detached: true, // a Ctrl-C in the terminal must not reach it: we stop servers in order
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

  /** Waits for the watchdog's next message: the pid, if it says one. */
  async #answer(watchdog: ChildProcess, expected: WatchdogMessage['type']): Promise<number> {
    const ended: Promise<WatchdogMessage> = this.exited.then(lines => ({
      type: 'failed',
      message: `it ended: ${lines}`,
    }))
    const said = new Promise<WatchdogMessage>(resolve =>
      watchdog.once('message', resolve as (message: unknown) => void),
    )
    const message = await Promise.race([said, ended])
    if (message.type === expected) return message.type === 'started' ? message.pid : 0
    throw new Error(`${this.name} cannot start: ${message.type === 'failed' ? message.message : message.type}`)
  }

  async #ready(): Promise<void> {
    const { isReady, readyWithinMs } = this.#spec
    for (const deadline = Date.now() + readyWithinMs; ; await pause(POLL_MS)) {
      const serves = await isReady().catch(() => false)
      if (this.pid === 0) throw new Error(`${this.name} ended while starting. ${this.#whatItSaid()}`)
      if (serves) return
      if (Date.now() < deadline) continue
      await this.kill()
      throw new Error(
        `${this.name} did not serve within ${readyWithinMs / 1000} s; the machine may be too busy or short of memory. ${this.#whatItSaid()}`,
      )
    }
  }

  #whatItSaid(): string {
    return `Its log (${this.logFile}) ends with:\n${this.#lastLines()}`
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
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: it is gone already
  }
}

/** The wanted port, else the one that this data folder used last if it is free, else a free one; remembered there. */
export async function stablePort(dataDir: string, name: string, wanted: number | undefined): Promise<number> {
  mkdirSync(dataDir, { recursive: true })
  const file = join(dataDir, `${name}.port`)
  const last = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  const port = wanted ?? (last > 0 && (await isFree(last)) ? last : await freePort())
  writeFileSync(file, String(port))
  return port
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
