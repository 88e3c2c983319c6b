/**
 * Watches the records of the last minute for faults that many of them share, and reports each as a condition with a remedy.
 * It changes no verdict: what is dead or late is decided record by record (contract, sections 5 and 6).
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { readsNumbers } from '#pipeline/time-forms.ts'
import { formatDuration } from '#pipeline/units.ts'
import type { DeadReason } from './core/dead-reasons.ts'
import { type FarBehind, likelyUnit } from './core/far-behind.ts'
import type { Share } from './core/pending.ts'
import { farAheadMessage, type Stand, standOf } from './far-ahead.ts'
import type { Telemetry } from './ports.ts'

const WINDOW_MS = 60_000
const DAY_MS = 86_400_000
/** Records with the same fault from which on it is reported, if they are also one of ten. */
const MIN_RECORDS = 3
const MIN_SHARE = 0.1

type Entry = {
  at: number
  records: number
  accepted: number
  /** By "reason at field". */
  dead: Map<string, number>
  /** What the first value that is not JSON looks like. */
  notJson: string | null
  /** By aggregation. */
  late: number[]
  farBehind: FarBehind[]
  stands: Stand[]
}

/** What to do about a reason; the others need a look at the records. */
const REMEDIES: Partial<Record<DeadReason, string>> = {
  too_many_decimals: 'set rounding or scale of the field',
  bad_number: 'correct the producer; if the text is empty, set blankAsNull of the field',
  wrong_type: 'set the type of the field that the events have; if the text is empty, set blankAsNull',
  missing_field: 'correct the path of the field, or set a default',
  missing_id: 'correct spec.event.id',
  bad_time: 'set spec.event.time.format or formats to the forms that the events have',
  future_timestamp: 'correct the clock of the producer, or spec.event.time.unit',
}
const LOOK = 'look at the payloads in dead_letters, and correct the producer'

export class InputMonitor {
  readonly #compiled: CompiledSpec
  readonly #telemetry: Pick<Telemetry, 'condition'>
  #entries: Entry[] = []

  constructor(compiled: CompiledSpec, telemetry: Pick<Telemetry, 'condition'>) {
    this.#compiled = compiled
    this.#telemetry = telemetry
  }

  /** Counts what a commit stored. */
  note(shares: Share[], at: number): void {
    this.#entries.push({ at, ...countsOf(shares) })
  }

  /** Raises the conditions, and clears those of which the last minute has no records. */
  report(now: number): void {
    this.#entries = this.#entries.filter(({ at }) => at > now - WINDOW_MS)
    this.#telemetry.condition('ManyDeadLetters', this.#deadMessage())
    this.#telemetry.condition('ManyLateEvents', this.#lateMessage())
    const stands = this.#entries.flatMap(entry => entry.stands)
    this.#telemetry.condition('WatermarkFarAhead', farAheadMessage(stands, this.#compiled.spec))
    this.#telemetry.condition('EventTimesFarBehind', this.#farBehindMessage())
  }

  #total(figure: (entry: Entry) => number): number {
    return this.#entries.reduce((sum, entry) => sum + figure(entry), 0)
  }

  #deadMessage(): string | null {
    const counts = new Map<string, number>()
    for (const { dead } of this.#entries)
      for (const [fault, count] of dead) counts.set(fault, (counts.get(fault) ?? 0) + count)
    const [most] = [...counts].sort(([, a], [, b]) => b - a)
    const records = this.#total(entry => entry.records)
    if (!most || !isCommon(most[1], records)) return null
    const faults = `${most[1]} of ${records} records in the last minute: ${most[0]}`
    const example = most[0] === 'not_json' && this.#entries.find(entry => entry.notJson)
    if (example) return `${faults}, such as: ${example.notJson}`
    return `${faults}; ${REMEDIES[most[0].split(' ')[0] as DeadReason] ?? LOOK}`
  }

  #lateMessage(): string | null {
    const accepted = this.#total(entry => entry.accepted)
    const late = this.#compiled.aggregations.map((_, i) => this.#total(entry => entry.late[i] ?? 0))
    const most = late.indexOf(Math.max(...late))
    if (!isCommon(late[most]!, accepted)) return null
    const { name } = this.#compiled.aggregations[most]!
    return `${late[most]} of ${accepted} events in the last minute: late for aggregation ${name}; raise its allowedLateness, or spec.watermark.outOfOrderness if events arrive out of order`
  }

  #farBehindMessage(): string | null {
    const found = this.#entries.flatMap(entry => entry.farBehind)
    const [first] = found
    if (!first) return null
    const { event, watermark } = this.#compiled.spec
    const count = found.reduce((sum, { records }) => sum + records, 0)
    const unit = readsNumbers(event.time) ? likelyUnit(first, event.time.unit, watermark.maxPastSkew) : null
    const hint = unit
      ? `The values look like unit ${unit}, but spec.event.time.unit is ${event.time.unit}; correct the producer, or create another pipeline with unit: ${unit}`
      : 'Correct the producer, or raise spec.watermark.maxPastSkew if the events are so old'
    return `${count} of ${this.#total(entry => entry.records)} records in the last minute have an event time more than ${days(watermark.maxPastSkew)} before the timestamp of their record, such as ${new Date(first.eventTime).toISOString()} at partition ${first.partition} offset ${first.offset}. ${hint}`
  }
}

function days(ms: number): string {
  return ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDuration(ms)
}

function countsOf(shares: Share[]): Omit<Entry, 'at'> {
  const dead = new Map<string, number>()
  const late: number[] = []
  for (const share of shares) {
    for (const { reason, field } of share.dead) {
      const fault = field === null ? reason : `${reason} at ${field}`
      dead.set(fault, (dead.get(fault) ?? 0) + 1)
    }
    share.commit.aggregations.forEach((counters, i) => {
      late[i] = (late[i] ?? 0) + counters.late
    })
  }
  const sum = (name: 'records' | 'accepted') => shares.reduce((total, { commit }) => total + commit.counters[name], 0)
  const farBehind = shares.flatMap(share => share.farBehind ?? [])
  const notJson = shares.flatMap(share => share.dead).find(({ detail }) => detail)?.detail ?? null
  return {
    records: sum('records'),
    accepted: sum('accepted'),
    dead,
    notJson,
    late,
    farBehind,
    stands: shares.map(standOf),
  }
}

function isCommon(count: number, all: number): boolean {
  return count >= MIN_RECORDS && count >= all * MIN_SHARE
}
