/** One local server: restarted on its data, with back-off, when it exits or a restart fails; given up after many attempts. */
import { relative } from 'node:path'
import { pause, type ServerProcess } from '#local/services/process.ts'
import { backOff } from '#pipeline/backoff.ts'

export type ServerState = 'starting' | 'running' | 'restarting' | 'failed' | 'stopped'

export type Hooks = {
  /** Receives one line for people. */
  log(line: string): void
  /** Called when the server cannot be restarted: nothing works without it. */
  onLost(error: Error): void
}

/** Restarts in a row, over some minutes: a bounded run would otherwise wait forever for a server that cannot start. */
const MAX_RESTARTS = 10
/** After a server has run for this long, restarts are counted from zero again. */
const STABLE_AFTER_MS = 60_000
const RESTART = { baseMs: 1000, capMs: 30_000 }

export class SupervisedServer {
  state: ServerState = 'starting'
  #server: ServerProcess | null = null
  #starting: Promise<unknown> = Promise.resolve()
  #stopping = false
  readonly #hooks: Hooks

  constructor(hooks: Hooks) {
    this.#hooks = hooks
  }

  get pid(): number {
    return this.#server?.pid ?? 0
  }

  /** `launch` passes the process to its callback as soon as it exists, so that it can be stopped before it serves. */
  async start<Server extends ServerProcess>(
    launch: (onStarting: (server: ServerProcess) => void) => Promise<Server>,
  ): Promise<Server> {
    const launching = launch(server => {
      this.#server = server
    })
    this.#starting = launching
    const server = await launching
    this.state = 'running'
    void this.#supervise(server)
    return server
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#server?.stop()
    await this.#starting.catch(() => {}) // it may be between two steps of its start
    await this.#server?.stop()
    this.state = 'stopped'
  }

  async kill(): Promise<void> {
    this.#stopping = true
    await this.#server?.kill()
  }

  async #supervise(server: ServerProcess): Promise<void> {
    for (let restarts = 0; ; ) {
      const startedAt = Date.now()
      const lastLines = await server.exited
      if (Date.now() - startedAt > STABLE_AFTER_MS) restarts = 0
      const log = relative('', server.logFile)
      let problem = `${server.name} exited. Its log (${log}) ends with:\n${lastLines}`
      while (problem !== '') {
        if (this.#stopping) return
        if (restarts === MAX_RESTARTS) return this.#lost(server, problem)
        await this.#pauseBeforeRestart(problem, restarts++)
        problem = this.#stopping ? '' : await this.#restart(server)
      }
      if (this.#stopping) return
      this.state = 'running'
    }
  }

  async #pauseBeforeRestart(problem: string, restarts: number): Promise<void> {
    this.state = 'restarting'
    const pauseMs = backOff({ attempt: restarts, ...RESTART })
    this.#hooks.log(`${shorten(problem)}; restarting it in ${pauseMs / 1000} s`)
    await pause(pauseMs)
  }

  /** Resolves with why it did not start, or with an empty string. */
  async #restart(server: ServerProcess): Promise<string> {
    try {
      await (this.#starting = server.start())
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  #lost(server: ServerProcess, problem: string): void {
    this.state = 'failed'
    this.#hooks.onLost(new Error(`gave up on ${server.name} after ${MAX_RESTARTS} restarts in a row: ${problem}`))
  }
}

/** Returns the first and the last line. */
function shorten(text: string): string {
  const lines = text.split('\n')
  return lines.length === 1 ? text : `${lines[0]} ${lines.at(-1)}`
}
