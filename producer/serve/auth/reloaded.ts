/** Values from mounted files that may change while the program runs. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError } from '#common/files.ts'

export type ReloadOptions<T> = {
  read: () => Promise<string>
  /** Throws an error whose message may be logged. */
  parse: (text: string) => T
  /** Called after a change; not for the first value. */
  onChange: (value: T) => void
  /** The files cannot be used; the last value stays in use. */
  onFault: (message: string) => void
  everyMs?: number
}

/** Writes a line of the log. */
export type Report = (level: 'info' | 'warn', message: string, fields?: object) => void

/** Kubernetes updates a mounted Secret about once a minute. */
const RELOAD_MS = 2000

/** Reads the text again and again: file watchers miss the symbolic links that Kubernetes replaces. */
export class Reloaded<T> {
  readonly #options: ReloadOptions<T>
  readonly #timer: NodeJS.Timeout
  #text: string
  #fault: string | null = null
  #value: T

  private constructor(options: ReloadOptions<T>, text: string) {
    this.#options = options
    this.#text = text
    this.#value = options.parse(text)
    this.#timer = setInterval(() => void this.#reload(), options.everyMs ?? RELOAD_MS).unref()
  }

  /** Rejects if the first text cannot be read or parsed. */
  static async open<T>(options: ReloadOptions<T>): Promise<Reloaded<T>> {
    return new Reloaded(options, await options.read())
  }

  get value(): T {
    return this.#value
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #reload(): Promise<void> {
    try {
      const text = await this.#options.read()
      if (text === this.#text && this.#fault === null) return
      const value = this.#options.parse(text)
      this.#fault = null
      if (text === this.#text) return
      this.#text = text
      this.#value = value
      this.#options.onChange(value)
    } catch (error) {
      this.#report((error as Error).message)
    }
  }

  /** Reports the same fault once, until it is corrected. */
  #report(message: string): void {
    if (message === this.#fault) return
    this.#fault = message
    this.#options.onFault(message)
  }
}

/** Resolves with the text of a file, or of all files of a folder. Rejects with FileError. */
export async function readMounted(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory()) return await readFile(path, 'utf8')
    // Kubernetes keeps the versions of a mounted Secret in hidden folders.
    const names = (await readdir(path)).filter(name => !name.startsWith('.')).sort()
    const texts = await Promise.all(names.map(name => readFile(join(path, name), 'utf8')))
    return texts.join('\n')
  } catch (error) {
    throw new FileError(`cannot read ${path} (${(error as Error).message})`, { cause: error })
  }
}
