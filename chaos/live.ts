/** The output during a run: a line for each event, and progress while it waits. */

import { printable, writeLines } from '#common/output.ts'

/** Time between progress lines when the output is not a terminal. */
const PROGRESS_EVERY_MS = 5000

export class Live {
  readonly #startedAt = Date.now()
  #lastLineAt = 0
  #hasProgressLine = false

  /** Prints an event. */
  event(text: string): void {
    this.#end()
    for (const line of text.split('\n')) writeLines(process.stdout, `${this.#time()}  ${line}`)
  }

  /** Prints what the run waits for. */
  progress(text: string): void {
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\x1b[K${this.#time()}  … ${printable(text)}`.slice(0, process.stdout.columns + 4))
      this.#hasProgressLine = true
    } else if (Date.now() - this.#lastLineAt >= PROGRESS_EVERY_MS) {
      this.#lastLineAt = Date.now()
      writeLines(process.stdout, `${this.#time()}  … ${text}`)
    }
  }

  #time(): string {
    return `${((Date.now() - this.#startedAt) / 1000).toFixed(1).padStart(7)} s`
  }

  #end(): void {
    if (this.#hasProgressLine) process.stdout.write('\r\x1b[K')
    this.#hasProgressLine = false
    this.#lastLineAt = Date.now()
  }
}
