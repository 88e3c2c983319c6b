/** One local server: restarted on its data when it exits, given up after some attempts. */
import { relative } from 'node:path'
import { pause, type ServerProcess } from '#local/services/process.ts'

export type ServerState = 'starting' | 'running' | 'restarting' | 'failed' | 'stopped'

export type Hooks = {
  /** Receives one line for people. */
  log(line: string): void
  /** Called when the server cannot be restarted: nothing works without it. */
  onLost(error: Error): void
}

/** Restarts in a row. They are counted from zero again after a server has run for STABLE_AFTER_MS. */
const MAX_RESTARTS = 3
const STABLE_AFTER_MS = 60_000
const PAUSE_MS = 1000

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
    for (let restarts = 0; ; restarts++) {
      const startedAt = Date.now()
      const lastLines = await server.exited
      if (this.#stopping) return
      if (Date.now() - startedAt > STABLE_AFTER_MS) restarts = 0
      if (restarts === MAX_RESTARTS)
        return this.#lost(
          new Error(
            `${server.name} exited again after ${MAX_RESTARTS} restarts. Its log (${server.logFile}) ends with:\n${lastLines}`,
          ),
        )
      this.#hooks.log(
        `${server.name} exited; restarting it. Last line of its log (${relative('', server.logFile)}): ${lastLine(lastLines)}`,
      )
      this.state = 'restarting'
      await pause(PAUSE_MS)
      if (this.#stopping) return
      try {
        await (this.#starting = server.start())
      } catch (error) {
        return this.#lost(error as Error)
      }
      this.state = 'running'
    }
  }

  #lost(error: Error): void {
    if (this.#stopping) return
    this.state = 'failed'
    this.#hooks.onLost(error)
  }
}

function lastLine(text: string): string {
  return text.slice(text.lastIndexOf('\n') + 1)
}
