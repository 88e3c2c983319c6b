/** One local server over its deaths: shown, started again on its data, given up after some attempts. */
import { relative } from 'node:path'
import { pause, type ServerProcess } from '#local/services/process.ts'

export type ServerState = 'starting' | 'running' | 'restarting' | 'failed' | 'stopped'

export type Hooks = {
  /** One line for people. */
  tell(line: string): void
  /** It cannot be brought back: nothing works without it. */
  onLost(error: Error): void
}

/** A server that lived a minute is forgiven its earlier deaths. */
const ATTEMPTS = 3
const FORGIVEN_AFTER_MS = 60_000
const PAUSE_MS = 1000

export class KeptServer {
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

  /** `bring` tells of the process as soon as there is one, so that it can be stopped before it serves. */
  async start<Server extends ServerProcess>(
    bring: (onStarting: (server: ServerProcess) => void) => Promise<Server>,
  ): Promise<Server> {
    const bringing = bring(server => {
      this.#server = server
    })
    this.#starting = bringing
    const server = await bringing
    this.state = 'running'
    void this.#keep(server)
    return server
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#server?.stop()
    await this.#starting.catch(() => {}) // it may have been between two steps of its start
    await this.#server?.stop()
    this.state = 'stopped'
  }

  async kill(): Promise<void> {
    this.#stopping = true
    await this.#server?.kill()
  }

  async #keep(server: ServerProcess): Promise<void> {
    for (let attempts = 0; ; attempts++) {
      const startedAt = Date.now()
      const lastLines = await server.exited
      if (this.#stopping) return
      if (Date.now() - startedAt > FORGIVEN_AFTER_MS) attempts = 0
      if (attempts === ATTEMPTS)
        return this.#lost(new Error(`${server.name} dies again and again. Its log says:\n${lastLines}`))
      this.#hooks.tell(
        `${server.name} died and is started again; its log (${relative('', server.logFile)}) says last: ${lastLine(lastLines)}`,
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
