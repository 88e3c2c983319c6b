/** The load generator as a child process, with its books over restarts. */
import { join, resolve } from 'node:path'
import { formatDuration } from '#pipeline/units.ts'
import type { LoadReport, LoadStats } from '#producer/load.ts'
import { type ChildEvents, type ChildMessage, SupervisedChild } from './children.ts'
import type { DataFolder } from './folder.ts'

const SCRIPT = resolve(import.meta.dirname, '../../producer/main.ts')

export class LoadGenerator {
  readonly child: SupervisedChild
  /** What the last process said at its end; null when it did not get there. */
  report: LoadReport | null = null
  /** pid → what that process said last. */
  readonly #stats = new Map<number, LoadStats>()
  #startedAt = 0
  /** When `sent` was true, ms since the epoch: a rate over the moments of looking would jump by a second's sales. */
  heardAt = 0

  /** `forMs` undefined: until it is stopped. */
  constructor(folder: DataFolder, forMs: number | undefined, events: Omit<ChildEvents, 'onMessage'>) {
    const left = () =>
      forMs === undefined ? [] : ['--for', formatDuration(Math.max(1, forMs - (Date.now() - this.#startedAt)))]
    const spec = {
      name: 'load',
      script: SCRIPT,
      args: () => ['load', '--file', folder.document, '--journal', folder.journal, ...left()],
      env: () => ({}),
      logFile: join(folder.logs, 'load.log'),
    }
    this.child = new SupervisedChild(spec, { ...events, onMessage: (message, pid) => this.#heard(message, pid) })
  }

  start(): void {
    this.#startedAt = Date.now()
    this.child.start()
  }

  /** Records sent by this run so far. */
  get sent(): number {
    return [...this.#stats.values()].reduce((sum, stats) => sum + stats.sent, 0)
  }

  #heard(message: ChildMessage, pid: number): void {
    if (message.type === 'report') this.report = message
    if (message.type !== 'report' && message.type !== 'stats') return
    this.#stats.set(pid, message)
    this.heardAt = Date.now()
  }
}
