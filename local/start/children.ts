/**
 * Our own processes (workers, load generator), kept alive as Kubernetes would do it: restarted with back-off whenever they
 * exit unasked, stopped with SIGTERM, and killed if they do not stop. Each runs in its own process group, so that a Ctrl-C in the
 * terminal reaches only us. Each exits when the IPC channel to us closes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { backOff } from '#pipeline/backoff.ts'
import { WORKER_EXIT_MS } from '#pipeline/limits.ts'
import type { LoadReport, LoadStats } from '#producer/load.ts'
import type { Usage } from './usage.ts'

export type ChildSpec = {
  name: string
  script: string
  /** Flags of Node itself. */
  nodeFlags?: string[]
  /** Called at every start, because a restarted child may have less left to do. */
  args: () => string[]
  env: () => NodeJS.ProcessEnv
  /** Standard output and error are appended to it. */
  logFile: string
  /** Returns whether its work is done, when it exits with code 0. Without this function, it must run until it is stopped. */
  isFinished?: () => boolean
}

export type ChildState = 'starting' | 'running' | 'done' | 'restarting' | 'stopping' | 'stopped'

/** Messages of children over the IPC channel. No child sends all kinds. */
export type ChildMessage =
  | { type: 'listening'; port: number }
  | { type: 'stopped'; cpuSeconds: number; maxRssBytes: number }
  | ({ type: 'stats' } & LoadStats)
  | ({ type: 'report' } & LoadReport)

export type ChildEvents = {
  onMessage(message: ChildMessage, pid: number): void
  onUsage(pid: number, usage: Usage): void
  /** Receives one line for people: why the child exited, with the last message of its log. */
  log(line: string): void
}

/** Back-off before a restart. */
const RESTART = { baseMs: 1000, capMs: 30_000 }
/** A child that ran for this long starts again with the shortest back-off. */
const STABLE_AFTER_MS = 60_000
/** A worker exits within WORKER_EXIT_MS of SIGTERM; the rest is for a busy machine. */
const KILL_AFTER_MS = WORKER_EXIT_MS + 3000

export class SupervisedChild {
  readonly spec: ChildSpec
  state: ChildState = 'stopped'
  restarts = 0
  /** Why it exited last; empty if it never did. */
  exitReason = ''
  #process: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #startedAt = 0
  /** Unwanted exits in a row. */
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  readonly #events: ChildEvents
  readonly #done = Promise.withResolvers<void>()

  constructor(spec: ChildSpec, events: ChildEvents) {
    this.spec = spec
    this.#events = events
  }

  /** Resolves when it exits with code 0 and its work is finished. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  start(): void {
    const log = openSync(this.spec.logFile, 'a')
    const child = spawn(process.execPath, [...(this.spec.nodeFlags ?? []), this.spec.script, ...this.spec.args()], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, ...this.spec.env() },
    })
    closeSync(log)
    this.state = 'starting'
    this.#startedAt = Date.now()
    this.#process = child
    child.on('message', message => this.#onMessage(message as ChildMessage, child.pid!))
    child.on('error', error => this.#events.log(`${this.spec.name}: ${error.message}`))
    this.#exited = new Promise(resolve => child.once('exit', (code, signal) => resolve(this.#onExit(code, signal))))
  }

  /** Sends SIGTERM, and SIGKILL if that does not help. Resolves when it has exited. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#process) {
      this.state = 'stopping'
      this.#signal('SIGTERM')
      const timer = setTimeout(() => this.kill(), KILL_AFTER_MS)
      await this.#exited
      clearTimeout(timer)
    }
    this.state = 'stopped'
  }

  kill(): void {
    this.#signal('SIGKILL')
  }

  #signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  #onMessage(message: ChildMessage, pid: number): void {
    if (message.type === 'stopped')
      this.#events.onUsage(pid, { cpuSeconds: message.cpuSeconds, peakMemoryBytes: message.maxRssBytes })
    else if (this.state === 'starting') this.state = 'running'
    this.#events.onMessage(message, pid)
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#process = null
    if (this.state === 'stopping') return
    if (code === 0 && this.spec.isFinished?.()) {
      this.state = 'done'
      this.#done.resolve()
      return
    }
    if (Date.now() - this.#startedAt > STABLE_AFTER_MS) this.#failures = 0
    this.exitReason = signal ? `killed by ${signal}` : exitText(code, this.spec.logFile)
    const pauseMs = backOff({ attempt: this.#failures++, ...RESTART })
    this.#events.log(`${this.spec.name} ${this.exitReason}; restarting in ${pauseMs / 1000} s`)
    this.state = 'restarting'
    this.#timer = setTimeout(() => {
      this.restarts++
      this.start()
    }, pauseMs)
  }
}

/** With code 0 there is no error to quote: our processes exit like this on SIGTERM and SIGINT, from whomever. */
function exitText(code: number | null, logFile: string): string {
  return code === 0
    ? 'exited with code 0, as after SIGTERM or SIGINT'
    : `exited with code ${code}: ${lastLogMessage(logFile)}`
}

/** Returns the message of the last error in a log, else of its last line; JSON lines are reduced to message and cause. */
export function lastLogMessage(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const errors = lines.slice(-50).filter(line => /"level":("error"|50)/.test(line))
  const line = errors.at(-1) ?? lines.at(-1) ?? ''
  try {
    const { msg, message, error, err } = JSON.parse(line) as Record<string, string | { message?: string } | undefined>
    const cause = typeof err === 'object' ? err.message : (error ?? err)
    return [msg ?? message, cause].filter(Boolean).join(': ')
  } catch {
    return line
  }
}
