/** The event times of a partition, and the watermark that follows them (contract, section 5). */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Claim } from './claim.ts'
import type { Decoder } from './decode/decoder.ts'
import { type SourceTimes, sourcesOf } from './sources.ts'
import type { Lead } from './support.ts'

/** As the progress row has them; null: no event yet, or no setting `sources`. */
export type StoredTimes = { maxEventTime: number | null; agreedTime: number | null; sources: string | null }

export class EventTimes {
  /** Greatest event time of the non-dead records so far; −Infinity: none. */
  max: number
  /** Null: this worker has read no record that moves the watermark. */
  lead: Lead | null = null
  readonly #sources: { times: SourceTimes; field: number } | null
  readonly #outOfOrderness: number

  constructor(compiled: CompiledSpec, claim: Claim) {
    this.max = claim.maxEventTime ?? Number.NEGATIVE_INFINITY
    this.#sources = sourcesOf(compiled, claim)
    this.#outOfOrderness = compiled.spec.watermark.outOfOrderness
  }

  /** −Infinity before the first event. */
  get watermark(): number {
    return this.#leading - this.#outOfOrderness
  }

  /** Notes a record that is not dead. */
  follow(decoder: Decoder, offset: number): void {
    const before = this.#leading
    this.max = Math.max(this.max, decoder.time)
    if (this.#sources && decoder.time > before) this.#sources.times.see(decoder.text(this.#sources.field), decoder.time)
    if (this.#leading > before) this.lead = { offset, eventTime: this.#leading }
  }

  /** `offset`: where the next record is. */
  storedAt(offset: number): StoredTimes {
    return {
      maxEventTime: finiteOrNull(this.max),
      agreedTime: this.#sources && finiteOrNull(this.#sources.times.agreed),
      sources: this.#sources?.times.stored(offset) ?? null,
    }
  }

  /** The event time that the watermark follows. */
  get #leading(): number {
    return this.#sources ? this.#sources.times.agreed : this.max
  }
}

function finiteOrNull(time: number): number | null {
  return Number.isFinite(time) ? time : null
}
