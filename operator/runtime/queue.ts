/**
 * Keys that wait for work: each stands there once however often it is added, and is worked on by one at a time; what is
 * added meanwhile is done again afterwards. The model is client-go's work queue; objects are never in it, since they age.
 */
import { backOff } from '#pipeline/backoff.ts'
import type { Chance, Clock } from '../ports.ts'

/** Pauses after failures of a key. */
const RETRY = { baseMs: 200, capMs: 60_000 }

export class WorkQueue {
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #ready = new Set<string>()
  readonly #working = new Set<string>()
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  /** When each delayed key is due, ms since the epoch. */
  readonly #due = new Map<string, number>()
  #wake: () => void = () => {}

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock
    this.#chance = chance
  }

  /** Keys that wait, at once or later. */
  get depth(): number {
    return this.#ready.size + this.#due.size
  }

  add(key: string): void {
    this.#due.delete(key)
    if (this.#working.has(key)) this.#again.add(key)
    else this.#ready.add(key)
    this.#wake()
  }

  /** In `ms`, unless it is due sooner already. */
  addAfter(key: string, ms: number): void {
    const due = this.#clock.now() + ms
    if (this.#ready.has(key) || this.#again.has(key) || (this.#due.get(key) ?? Infinity) <= due) return
    this.#due.set(key, due)
    this.#wake()
  }

  /** Works on keys until the signal aborts, `workers` at a time. `work` answers in how many ms to look again, if at all. */
  async run(
    workers: number,
    work: (key: string) => Promise<number | undefined>,
    failed: (key: string, error: unknown, retryInMs: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    const under = new Set<Promise<void>>()
    while (!signal.aborted) {
      this.#promote()
      const key = under.size < workers ? this.#take() : undefined
      if (key === undefined) {
        await this.#change(signal)
        continue
      }
      const doing = this.#do(key, work, failed).finally(() => {
        under.delete(doing)
        this.#wake()
      })
      under.add(doing)
    }
    await Promise.all(under)
  }

  async #do(key: string, ...[work, failed]: [Parameters<WorkQueue['run']>[1], Parameters<WorkQueue['run']>[2]]) {
    try {
      const again = await work(key)
      this.#failures.delete(key)
      this.#finish(key)
      if (again !== undefined) this.addAfter(key, again)
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      const retryInMs = backOff({ attempt: failures, ...RETRY }, this.#chance)
      failed(key, error, retryInMs)
      this.#finish(key)
      this.addAfter(key, retryInMs)
    }
  }

  #finish(key: string): void {
    this.#working.delete(key)
    if (this.#again.delete(key)) this.#ready.add(key)
  }

  #take(): string | undefined {
    for (const key of this.#ready) {
      this.#ready.delete(key)
      this.#working.add(key)
      return key
    }
    return undefined
  }

  #promote(): void {
    const now = this.#clock.now()
    for (const [key, due] of this.#due) if (due <= now) this.add(key)
  }

  /** Resolves when a key was added, one became due, or work ended. */
  async #change(signal: AbortSignal): Promise<void> {
    const next = Math.min(...this.#due.values())
    const stop = new AbortController()
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (signal.aborted) resolve()
      if (next < Infinity) void this.#clock.sleep(Math.max(0, next - this.#clock.now()), stop.signal).then(resolve)
    })
    this.#wake = () => {}
    stop.abort()
  }
}
