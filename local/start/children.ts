/**
 * Our own processes (workers, load generator), kept alive as Kubernetes would: started again with back-off when they
 * die, asked to stop with SIGTERM and killed when they do not. Each runs in its own process group, so that a Ctrl-C in
 * the terminal reaches only us, and ends by itself when the channel to us closes.
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
  /** For Node itself. */
  nodeFlags?: string[]
  /** Asked at every start: what is left to do may be less by then. */
  args: () => string[]
  env: () => NodeJS.ProcessEnv
  /** Takes standard output and error, appended. */
  logFile: string
}

export type ChildState = 'starting' | 'running' | 'done' | 'restarting' | 'stopping' | 'stopped'

/** What children say over the channel; each of them says only some of it. */
export type ChildMessage =
  | { type: 'listening'; port: number }
  | { type: 'stopped'; cpuSeconds: number; maxRssBytes: number }
  | ({ type: 'stats' } & LoadStats)
  | ({ type: 'report' } & LoadReport)

export type ChildEvents = {
  onMessage(message: ChildMessage, pid: number): void
  onUsage(pid: number, usage: Usage): void
  /** One line for people: it died, and what its log said last. */
  tell(line: string): void
}

/** Pauses before it is started again. */
const RESTART = { baseMs: 1000, capMs: 30_000 }
/** Whoever lived so long is forgiven its earlier deaths. */
const FORGIVEN_AFTER_MS = 60_000
/** A worker exits by itself within WORKER_EXIT_MS of SIGTERM; the rest is for a busy machine. */
const KILL_AFTER_MS = WORKER_EXIT_MS + 3000

export class SupervisedChild {
  readonly spec: ChildSpec
  state: ChildState = 'stopped'
  restarts = 0
  /** Why it ended last; empty when it never did. */
  lastWords = ''
  #process: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  #startedAt = 0
  /** Deaths in a row. */
  #deaths = 0
  #timer: NodeJS.Timeout | undefined
  readonly #events: ChildEvents
  readonly #done = Promise.withResolvers<void>()

  constructor(spec: ChildSpec, events: ChildEvents) {
    this.spec = spec
    this.#events = events
  }

  /** Resolves when it ended by itself with exit code 0: its work is done. */
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
    child.on('message', message => this.#heard(message as ChildMessage, child.pid!))
    child.on('error', error => this.#events.tell(`${this.spec.name}: ${error.message}`))
    this.#ended = new Promise(resolve => child.once('exit', (code, signal) => resolve(this.#exited(code, signal))))
  }

  /** SIGTERM, then SIGKILL. Resolves when it is gone. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#process) {
      this.state = 'stopping'
      this.#signal('SIGTERM')
      const timer = setTimeout(() => this.kill(), KILL_AFTER_MS)
      await this.#ended
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

  #heard(message: ChildMessage, pid: number): void {
    if (message.type === 'stopped')
      this.#events.onUsage(pid, { cpuSeconds: message.cpuSeconds, peakMemoryBytes: message.maxRssBytes })
    else if (this.state === 'starting') this.state = 'running'
    this.#events.onMessage(message, pid)
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    this.#process = null
    if (this.state === 'stopping') return
    if (code === 0) {
      this.state = 'done'
      this.#done.resolve()
      return
    }
    if (Date.now() - this.#startedAt > FORGIVEN_AFTER_MS) this.#deaths = 0
    const how = signal ? `was ended by ${signal}` : `ended with code ${code}`
    this.lastWords = signal ? how : `${how}: ${lastWords(this.spec.logFile)}`
    const pauseMs = backOff({ attempt: this.#deaths++, ...RESTART })
    this.#events.tell(`${this.spec.name} ${this.lastWords}; starting again in ${pauseMs / 1000} s`)
    this.state = 'restarting'
    this.#timer = setTimeout(() => {
      this.restarts++
      this.start()
    }, pauseMs)
  }
}

/** The last thing a log says, out of its JSON if it is JSON. */
export function lastWords(file: string): string {
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
