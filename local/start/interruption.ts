/** What ends a run before its time: Ctrl-C, SIGTERM, a closed terminal, or something that cannot be brought back. */

export class Interrupted extends Error {}

export class Interruption {
  readonly #ended = Promise.withResolvers<never>()
  #asked = false
  /** What was under way must not bring up anything more. */
  isOver = false

  /** `killHard`: called at the second signal; it does not come back. */
  constructor(killHard: () => void) {
    this.#ended.promise.catch(() => {}) // whoever races with it hears of it; perhaps nobody does
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        if (this.#asked) killHard()
        this.#asked = true
        this.#end(new Interrupted())
      })
  }

  fail = (error: Error): void => this.#end(error)

  /** The promise's result; rejects as soon as the run is to end, with Interrupted or with what went wrong. */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ended.promise])
  }

  #end(reason: Error): void {
    this.isOver = true
    this.#ended.reject(reason)
  }

  /** Never resolves. */
  get ended(): Promise<never> {
    return this.#ended.promise
  }
}
