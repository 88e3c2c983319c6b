/** The load generator as a child process, with totals over its restarts. */
import { join, resolve } from 'node:path'
import { formatDuration } from '#pipeline/units.ts'
import type { LoadReport, LoadStats } from '#producer/load.ts'
import { type ChildEvents, type ChildMessage, SupervisedChild } from './children.ts'
import type { DataFolder } from './folder.ts'

const SCRIPT = resolve(import.meta.dirname, '../../producer/main.ts')

export class LoadGenerator {
  readonly child: SupervisedChild
  /** The report that the last process sent when it finished; null if it did not finish. */
  report: LoadReport | null = null
  /** pid → newest statistics of that process. */
  readonly #stats = new Map<number, LoadStats>()
  #startedAt = 0
  /** When `sent` was received, ms since the epoch. A rate over the times of polling would jump by a second's sales. */
  statsAt = 0

  /** Without `forMs` it sends until it is stopped. */
  constructor(folder: DataFolder, forMs: number | undefined, events: Omit<ChildEvents, 'onMessage'>) {
    const remainingTime = () =>
      forMs === undefined ? [] : ['--for', formatDuration(Math.max(1, forMs - (Date.now() - this.#startedAt)))]
    const spec = {
      name: 'load',
      script: SCRIPT,
      args: () => ['load', '--file', folder.document, '--journal', folder.journal, ...remainingTime()],
      env: () => ({}),
      logFile: join(folder.logs, 'load.log'),
      isFinished: () => forMs !== undefined && Date.now() - this.#startedAt >= forMs,
    }
    this.child = new SupervisedChild(spec, { ...events, onMessage: (message, pid) => this.#onMessage(message, pid) })
  }

  start(): void {
    this.#startedAt = Date.now()
    this.child.start()
  }

  /** Records sent by this run so far. */
  get sent(): number {
    return [...this.#stats.values()].reduce((sum, stats) => sum + stats.sent, 0)
  }

  #onMessage(message: ChildMessage, pid: number): void {
    if (message.type === 'report') this.report = message
    if (message.type !== 'report' && message.type !== 'stats') return
    this.#stats.set(pid, message)
    this.statsAt = Date.now()
  }
}
