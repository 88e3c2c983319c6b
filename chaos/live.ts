/** What whoever watches is told: a line for each event, and how far it is while something is waited for. */

/** Where lines are kept one after the other, a line each half second would bury the others. */
const TELL_EVERY_MS = 5000

export class Live {
  readonly #startedAt = Date.now()
  #toldAt = 0
  #isOpen = false

  /** Something happened. */
  event(text: string): void {
    this.#end()
    for (const line of text.split('\n')) process.stdout.write(`${this.#time()}  ${line}\n`)
  }

  /** Still waiting. */
  progress(text: string): void {
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\x1b[K${this.#time()}  … ${text}`.slice(0, process.stdout.columns + 4))
      this.#isOpen = true
    } else if (Date.now() - this.#toldAt >= TELL_EVERY_MS) {
      this.#toldAt = Date.now()
      process.stdout.write(`${this.#time()}  … ${text}\n`)
    }
  }

  #time(): string {
    return `${((Date.now() - this.#startedAt) / 1000).toFixed(1).padStart(7)} s`
  }

  #end(): void {
    if (this.#isOpen) process.stdout.write('\r\x1b[K')
    this.#isOpen = false
    this.#toldAt = Date.now()
  }
}
