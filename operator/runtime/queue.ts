/**
 * A work queue of keys, modelled on client-go's: a key is queued once however often it is added, never processed twice at
 * a time, and processed again when it was added meanwhile. It holds keys, not objects: queued objects would be outdated.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { backOff } from '#pipeline/backoff.ts'
import type { Chance, Clock } from '../ports.ts'

/** Pauses after failures of a key. */
const RETRY = { baseMs: 200, capMs: 60_000 }

export class WorkQueue {
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #queued = new Set<string>()
  readonly #processing = new Set<string>()
  /** Added while they were processed. */
  readonly #dirty = new Set<string>()
  readonly #failures = new Map<string, number>()
  /** When each delayed key is due, ms since the epoch. */
  readonly #due = new Map<string, number>()
  #wake: () => void = () => {}

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock
    this.#chance = chance
  }

  /** Queued and delayed keys. */
  get depth(): number {
    return this.#queued.size + this.#due.size
  }

  add(key: string): void {
    this.#due.delete(key)
    if (this.#processing.has(key)) this.#dirty.add(key)
    else this.#queued.add(key)
    this.#wake()
  }

  /** Adds the key in `ms`, unless it is due sooner already. */
  addAfter(key: string, ms: number): void {
    const due = this.#clock.now() + ms
    if (this.#queued.has(key) || this.#dirty.has(key) || (this.#due.get(key) ?? Infinity) <= due) return
    this.#due.set(key, due)
    this.#wake()
  }

  /** Processes `workers` keys at a time until the signal aborts. `work` resolves with the ms after which to requeue the key. */
  async run(
    workers: number,
    work: (key: string) => Promise<number | undefined>,
    onFailure: (key: string, error: unknown, retryInMs: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    const inFlight = new Set<Promise<void>>()
    while (!signal.aborted) {
      this.#queueDue()
      const key = inFlight.size < workers ? this.#next() : undefined
      if (key === undefined) {
        await this.#waitForChange(signal)
        continue
      }
      const processing = this.#process(key, work, onFailure).finally(() => {
        inFlight.delete(processing)
        this.#wake()
      })
      inFlight.add(processing)
    }
    await Promise.all(inFlight)
  }

  async #process(
    key: string,
    work: Parameters<WorkQueue['run']>[1],
    onFailure: Parameters<WorkQueue['run']>[2],
  ): Promise<void> {
    try {
      // Work on a key that needs no request never lets go of the event loop: with a thousand keys the Lease would expire.
      await turn()
      const requeueAfterMs = await work(key)
      this.#failures.delete(key)
      this.#finish(key)
      if (requeueAfterMs !== undefined) this.addAfter(key, requeueAfterMs)
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      const retryInMs = backOff({ attempt: failures, ...RETRY }, this.#chance)
      onFailure(key, error, retryInMs)
      this.#finish(key)
      this.addAfter(key, retryInMs)
    }
  }

  #finish(key: string): void {
    this.#processing.delete(key)
    if (this.#dirty.delete(key)) this.#queued.add(key)
  }

  #next(): string | undefined {
    for (const key of this.#queued) {
      this.#queued.delete(key)
      this.#processing.add(key)
      return key
    }
    return undefined
  }

  #queueDue(): void {
    const now = this.#clock.now()
    for (const [key, due] of this.#due) if (due <= now) this.add(key)
  }

  /** Resolves when a key was added, a delayed key is due, or a key was processed. */
  async #waitForChange(signal: AbortSignal): Promise<void> {
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
