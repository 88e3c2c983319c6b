/** The stream that the generator means to send: sales by the schedule, their mishaps, and duplicates in between. Pure. */
import type { Load } from '#pipeline/schema.ts'
import { malform } from './malformed.ts'
import { type Kind, mishapOf } from './mishap.ts'
import { Dice, Zipf } from './random.ts'
import { PROFILES, type Profile, saleIds } from './sale.ts'
import type { Schedule } from './schedule.ts'

export type Made = {
  kind: Kind | 'duplicate'
  /** When it is meant to be sent, ms after the start. */
  due: number
  key: Buffer
  /** Null: a tombstone. */
  value: Buffer | null
}

export class Generator {
  readonly #load: Load
  readonly #schedule: Schedule
  readonly #eventStart: number
  readonly #profile: Profile
  readonly #idOf: (index: number) => string
  readonly #keys: Zipf
  readonly #saleDice: Dice
  readonly #mishapDice: Dice
  /** Latest first, so that the next one is popped. */
  readonly #duplicates: Made[] = []
  #index = 0
  #due: number

  /** `eventStart`: event time of the first sale, ms since the epoch. */
  constructor(load: Load, schedule: Schedule, eventStart: number) {
    this.#load = load
    this.#schedule = schedule
    this.#eventStart = eventStart
    this.#profile = PROFILES[load.profile]
    this.#idOf = saleIds(load.seed, eventStart)
    this.#keys = new Zipf(load.keys, load.keySkew)
    this.#saleDice = new Dice(load.seed, 0)
    this.#mishapDice = new Dice(load.seed, 1)
    this.#due = schedule.timeOf(0)
  }

  /** Sales made so far, duplicates not among them. */
  get sales(): number {
    return this.#index
  }

  /** To be called after the schedule's rate was changed. */
  reschedule(): void {
    this.#due = this.#schedule.timeOf(this.#index)
  }

  get owesDuplicates(): boolean {
    return this.#duplicates.length > 0
  }

  /** When the next event is due, ms after the start. */
  get nextDue(): number {
    return Math.min(this.#due, this.#duplicates.at(-1)?.due ?? Number.POSITIVE_INFINITY)
  }

  /** The next event, if it is due before `time`; null otherwise. */
  next(time: number): Made | null {
    if (this.nextDue >= time) return null
    return this.nextDue < this.#due ? this.#duplicates.pop()! : this.#sale()
  }

  /** The next duplicate, due or not; null when none is left. */
  nextDuplicate(): Made | null {
    return this.#duplicates.pop() ?? null
  }

  #sale(): Made {
    const index = this.#index++
    const due = this.#due
    this.#due = this.#schedule.timeOf(this.#index)
    const mishap = mishapOf(this.#load, this.#mishapDice.seek(index))
    const dice = this.#saleDice.seek(index)
    const id = this.#idOf(index)
    const time = this.#eventStart + Math.floor(due * this.#load.speed) - mishap.back
    const json = this.#profile.write(dice, id, time, this.#keys.rank(dice.next()))
    const malformed = mishap.kind === 'malformed'
    const value = malformed ? malform({ id, json }, this.#profile.fields, this.#mishapDice.next()) : Buffer.from(json)
    const made: Made = { kind: mishap.kind, due, key: Buffer.from(id), value }
    if (mishap.againAfter !== null) this.#repeat({ ...made, kind: 'duplicate', due: due + mishap.againAfter })
    return made
  }

  #repeat(duplicate: Made): void {
    let low = 0
    let high = this.#duplicates.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#duplicates[middle]!.due > duplicate.due) low = middle + 1
      else high = middle
    }
    this.#duplicates.splice(low, 0, duplicate)
  }
}
