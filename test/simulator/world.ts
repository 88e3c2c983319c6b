/**
 * Virtual time and the processes that live in it. Everything that production code awaits goes through here, so one seed
 * decides the order of all events: which call takes effect first, which response is lost, which process dies meanwhile.
 */
import { Retryable } from '#processor/errors.ts'
import type { Clock } from '#processor/ports.ts'
import { Random } from '#test/support/random.ts'

type Event = { at: number; order: number; run: () => void }

export class World {
  readonly random: Random
  now = Date.UTC(2026, 0, 15, 10)
  #order = 0
  #events: Event[] = []

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + Math.ceil(ms), order: this.#order++, run }
    let i = this.#events.length
    while (
      i > 0 &&
      (this.#events[i - 1]!.at < event.at ||
        (this.#events[i - 1]!.at === event.at && this.#events[i - 1]!.order < event.order))
    )
      i--
    this.#events.splice(i, 0, event) // latest first: the next one is popped off the end
  }

  /** Runs events in order until `done()`, checked before each event. Rejects after `limitMs` of virtual time. */
  async run(done: () => boolean, limitMs: number): Promise<void> {
    const deadline = this.now + limitMs
    while (!done()) {
      const event = this.#events.pop()
      if (!event) throw new Error('no events are left: the system is stuck')
      if (event.at > deadline) throw new Error(`not done after ${limitMs} ms of virtual time`)
      this.now = event.at
      event.run()
      await settled()
    }
  }

  /** Returns a random network delay, ms: mostly short, sometimes long. */
  delay(): number {
    return this.random.chance(0.05) ? this.random.int(20, 800) : this.random.int(1, 10)
  }
}

/** Resolves after all promise callbacks that were ready: one turn of the real event loop. */
function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** A process: running, stopped (SIGSTOP) or dead (SIGKILL). Code of a stopped or dead process gets no responses. */
export class Life {
  readonly name: string
  state: 'up' | 'paused' | 'dead' = 'up'
  readonly #world: World
  #waiting: (() => void)[] = []

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
  }

  pause(): void {
    if (this.state === 'up') this.state = 'paused'
  }

  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'up'
    for (const run of this.#waiting.splice(0)) run()
  }

  kill(): void {
    this.state = 'dead'
    this.#waiting = []
  }

  deliver(run: () => void): void {
    if (this.state === 'up') run()
    else if (this.state === 'paused') this.#waiting.push(run)
  }

  /**
   * Calls a server. The effect happens at one virtual time, the response arrives at a later one. The request of a caller
   * that died meanwhile may still take effect. `loseResponse`: probability that the effect happens, but the call rejects
   * with Retryable.
   */
  call<T>(effect: () => Promise<T>, loseResponse = 0): Promise<T> {
    const world = this.#world
    return new Promise<T>((resolve, reject) => {
      const respond = (run: () => void) => world.after(world.delay(), () => this.deliver(run))
      world.after(world.delay(), () => {
        if (this.state === 'dead' && world.random.chance(0.5)) return // the request died with its sender
        const lost = world.random.chance(loseResponse)
        effect().then(
          value => respond(() => (lost ? reject(new Retryable('the response was lost')) : resolve(value))),
          error => respond(() => reject(error)),
        )
      })
    })
  }

  clock(): Clock {
    return {
      now: () => this.#world.now,
      sleep: (ms, signal) =>
        new Promise(resolve => {
          if (signal?.aborted) return resolve()
          const wake = () => resolve()
          signal?.addEventListener('abort', wake, { once: true })
          this.#world.after(ms, () => {
            signal?.removeEventListener('abort', wake)
            this.deliver(wake)
          })
        }),
    }
  }
}
