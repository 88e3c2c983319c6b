/** Bounds the size of dead_letters: large records are stored as prefix and hash; all without bytes while it is full. */
import type { Spec } from '#pipeline/schema.ts'
import type { Commit, DeadLetter } from './core/commit.ts'

export class DeadLetterBounds {
  readonly #bounds: Spec['deadLetters']
  readonly #sha256: (bytes: Buffer) => string
  #full = false

  constructor(bounds: Spec['deadLetters'], sha256: (bytes: Buffer) => string) {
    this.#bounds = bounds
    this.#sha256 = sha256
  }

  /** True when the table is full and the spec says to pause reading then. */
  get paused(): boolean {
    return this.#full && this.#bounds.whenFull === 'pause'
  }

  /** `storedBytes`: size of the table's payloads now. Returns a message while the table is full, else null. */
  observe(storedBytes: number): string | null {
    const { maxBytes, whenFull } = this.#bounds
    this.#full = storedBytes >= maxBytes
    if (!this.#full) return null
    const effect = whenFull === 'pause' ? 'reading is paused' : 'new dead letters are stored without their bytes'
    return `dead_letters holds ${storedBytes} of at most ${maxBytes} bytes; ${effect}. Delete dead letters, or raise spec.deadLetters.maxBytes`
  }

  apply(commit: Commit): Commit {
    return commit.dead.length === 0 ? commit : { ...commit, dead: commit.dead.map(letter => this.#bound(letter)) }
  }

  #bound(letter: DeadLetter): DeadLetter {
    const { payload, payloadSha256 } = letter
    if (payload === null || (!this.#full && payload.length <= this.#bounds.maxPayload)) return letter
    const kept = this.#full ? null : payload.subarray(0, this.#bounds.maxPayload)
    return { ...letter, payload: kept, payloadSha256: payloadSha256 ?? this.#sha256(payload) }
  }
}
