/** Ends a run early: on Ctrl-C, SIGTERM, a closed terminal, or a server that cannot be restarted. */

export class Interrupted extends Error {}

export class Interruption {
  readonly #ended = Promise.withResolvers<never>()
  #signalled = false
  /** True once the run must end: nothing more may be started. */
  isOver = false

  /** `killHard` is called at the second signal and must exit. */
  constructor(killHard: () => void) {
    this.#ended.promise.catch(() => {}) // those that race with it see the rejection, but there may be none
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        if (this.#signalled) killHard()
        this.#signalled = true
        this.#end(new Interrupted())
      })
  }

  fail = (error: Error): void => this.#end(error)

  /** Resolves with the promise's result. Rejects as soon as the run must end, with Interrupted or with the failure. */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ended.promise])
  }

  #end(reason: Error): void {
    this.isOver = true
    this.#ended.reject(reason)
  }

  /** Never resolves; rejects as `race` does. */
  get ended(): Promise<never> {
    return this.#ended.promise
  }
}
