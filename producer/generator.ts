/** Generates the stream to send: sales by the schedule, with mishaps and duplicates. Pure. */
import type { Load } from '#pipeline/schema.ts'
import { malform } from './malformed.ts'
import { type Kind, mishapOf } from './mishap.ts'
import { Dice, Zipf } from './random.ts'
import { PROFILES, type Profile, saleIds } from './sale.ts'
import type { Schedule } from './schedule.ts'

export type GeneratedEvent = {
  kind: Kind | 'duplicate'
  /** Scheduled time of sending, ms after the start. */
  due: number
  key: Buffer
  /** Null for a tombstone. */
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
  /** Sorted by due time, latest first: `pop` returns the next one. */
  readonly #duplicates: GeneratedEvent[] = []
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

  /** Number of sales generated so far, without duplicates. */
  get sales(): number {
    return this.#index
  }

  /** Call this after changing the rate of the schedule. */
  reschedule(): void {
    this.#due = this.#schedule.timeOf(this.#index)
  }

  get hasDuplicates(): boolean {
    return this.#duplicates.length > 0
  }

  /** When the next event is due, ms after the start. */
  get nextDue(): number {
    return Math.min(this.#due, this.#duplicates.at(-1)?.due ?? Number.POSITIVE_INFINITY)
  }

  /** Returns the next event if it is due before `time`, otherwise null. */
  next(time: number): GeneratedEvent | null {
    if (this.nextDue >= time) return null
    return this.nextDue < this.#due ? this.#duplicates.pop()! : this.#sale()
  }

  /** Returns the next duplicate, whether due or not; null if none is left. */
  nextDuplicate(): GeneratedEvent | null {
    return this.#duplicates.pop() ?? null
  }

  #sale(): GeneratedEvent {
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
    const event: GeneratedEvent = { kind: mishap.kind, due, key: Buffer.from(id), value }
    if (mishap.resendAfter !== null) this.#addDuplicate({ ...event, kind: 'duplicate', due: due + mishap.resendAfter })
    return event
  }

  #addDuplicate(duplicate: GeneratedEvent): void {
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
