/** The output of a run: a view that is redrawn on a terminal, plain lines elsewhere. */
import type { WriteStream } from 'node:tty'
import { writeLines } from '#common/output.ts'
import { renderView, statusLine, type View } from './view.ts'

/** Time between two status lines when the output is not a terminal. */
const LINE_EVERY_MS = 5000
const NEWS = 6

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const CLEAR = '\x1b[2J'
const HOME = '\x1b[H'
const END_OF_LINE = '\x1b[K'
const END_OF_SCREEN = '\x1b[J'

export class Screen {
  readonly #out: WriteStream
  #live = false
  #news: string[] = []
  #lastLineAt = 0

  constructor(out: WriteStream) {
    this.#out = out
  }

  /** Prints lines: at the bottom of the live view while that is shown. */
  log = (text: string): void => {
    const at = `${new Date().toISOString().slice(11, 19)}Z`
    if (this.#live) this.#news = [...this.#news, ...text.split('\n').map(line => `${at} ${line}`)].slice(-NEWS)
    else writeLines(this.#out, text)
  }

  show(view: Omit<View, 'news'>): void {
    if (this.#out.isTTY) this.#draw({ ...view, news: this.#news })
    else if (view.now - this.#lastLineAt >= LINE_EVERY_MS) {
      this.#lastLineAt = view.now
      writeLines(this.#out, statusLine({ ...view, news: [] }))
    }
  }

  /** Keeps the last view on the terminal; later lines are printed below it. */
  close(): void {
    if (this.#live) this.#out.write(`${SHOW_CURSOR}\n`)
    this.#live = false
  }

  #draw(view: View): void {
    const { columns = 80, rows = 24 } = this.#out
    const lines = renderView(view, { columns, rows: rows - 1 })
    this.#out.write(
      `${this.#live ? '' : HIDE_CURSOR + CLEAR}${HOME}${lines.map(line => `${line}${END_OF_LINE}\n`).join('')}${END_OF_SCREEN}`,
    )
    this.#live = true
  }
}
