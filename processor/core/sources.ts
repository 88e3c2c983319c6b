/**
 * The event time that several sources have reached (contract, section 5, "Several sources"): with `atLeast: 2`, the second
 * greatest of the greatest event times of all sources. Only the `atLeast` sources that are furthest ahead are kept: any
 * other one counts again only with an event time after all that it had before.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { MAX_SOURCE_LENGTH } from '#pipeline/limits.ts'
import type { Claim } from './claim.ts'

export type SourceSetting = { field: string; atLeast: number }

type Latest = [source: string, eventTime: number]
type State = SourceSetting & { offset: number; latest: Latest[] }

export class SourceTimes {
  readonly #setting: SourceSetting
  readonly #latest: Latest[]
  /** −Infinity until `atLeast` sources are known. */
  agreed: number

  /**
   * Continues at `offset` from what `stored` returned there. Begins without sources after another setting, or after a release
   * that does not store them.
   */
  constructor({ field, atLeast }: SourceSetting, stored: string | null, offset: number) {
    this.#setting = { field, atLeast }
    const state = stored === null ? null : (JSON.parse(stored) as State)
    const continues = state?.offset === offset && state.field === field && state.atLeast === atLeast
    this.#latest = continues ? state.latest : []
    this.agreed = this.#agreed()
  }

  /** `source`: null if the record has none; then it moves nothing. */
  see(source: string | null, eventTime: number): void {
    if (eventTime <= this.agreed || source === null || source.length > MAX_SOURCE_LENGTH) return
    const known = this.#latest.find(([name]) => name === source)
    if (known) known[1] = Math.max(known[1], eventTime)
    else if (this.#latest.length < this.#setting.atLeast) this.#latest.push([source, eventTime])
    else this.#latest[this.#last()] = [source, eventTime]
    this.agreed = this.#agreed()
  }

  /** Returns the state before `offset` as text, to be stored with the progress of the partition. */
  stored(offset: number): string {
    return JSON.stringify({ ...this.#setting, offset, latest: this.#latest } satisfies State)
  }

  #agreed(): number {
    const isFull = this.#latest.length === this.#setting.atLeast
    return isFull ? this.#latest[this.#last()]![1] : Number.NEGATIVE_INFINITY
  }

  /** Returns the index of the source that is the furthest behind. */
  #last(): number {
    return this.#latest.reduce((last, [, time], i) => (time < this.#latest[last]![1] ? i : last), 0)
  }
}

/** Returns null without `watermark.sources`. `field`: index of the field that names the source. */
export function sourcesOf({ spec, fields }: CompiledSpec, claim: Claim): { times: SourceTimes; field: number } | null {
  const { sources } = spec.watermark
  if (!sources) return null
  const field = fields.findIndex(({ name, line }) => name === sources.field && !line)
  return { times: new SourceTimes(sources, claim.sources, claim.nextOffset), field }
}
