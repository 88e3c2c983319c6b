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
/** Records with the same fault from which on it is reported, if they are also one of ten. */
const MIN_RECORDS = 3
const MIN_SHARE = 0.1

type Fault = { count: number; detail: string | null }

type Entry = {
  at: number
  records: number
  accepted: number
  /** By "reason at field": how many, and the first one's description. */
  dead: Map<string, Fault>
  /** By aggregation. */
  late: number[]
  farBehind: FarBehind[]
  stands: Stand[]
}

/** What to do about a dead letter without a description. */
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
    const faults = new Map<string, Fault>()
    for (const { dead } of this.#entries)
      for (const [name, { count, detail }] of dead) addFault(faults, name, count, detail)
    const [most] = [...faults].sort(([, a], [, b]) => b.count - a.count)
    const records = this.#total(entry => entry.records)
    if (!most || !isCommon(most[1].count, records)) return null
    const [name, { count, detail }] = most
    return `${count} of ${records} records in the last minute: ${name}${detail === null ? `; ${LOOK}` : `, such as: ${detail}`}`
  }

  #lateMessage(): string | null {
    const accepted = this.#total(entry => entry.accepted)
    const late = this.#compiled.aggregations.map((_, i) => this.#total(entry => entry.late[i] ?? 0))
    const most = late.indexOf(Math.max(...late))
    if (!isCommon(late[most]!, accepted)) return null
    const { name } = this.#compiled.aggregations[most]!
    return `${late[most]} of ${accepted} events in the last minute: late for aggregation ${name}; raise its allowedLateness (unlimited for history that is not sorted by time), or spec.watermark.outOfOrderness if events arrive out of order`
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
    return `${count} of ${this.#total(entry => entry.records)} records in the last minute have an event time more than ${formatDuration(watermark.maxPastSkew)} before the timestamp of their record, such as ${new Date(first.eventTime).toISOString()} at partition ${first.partition} offset ${first.offset}. ${hint}`
  }
}

function countsOf(shares: Share[]): Omit<Entry, 'at'> {
  const dead = new Map<string, Fault>()
  const late: number[] = []
  for (const share of shares) {
    for (const { reason, field, detail } of share.dead) addFault(dead, faultName(reason, field), 1, detail)
    share.commit.aggregations.forEach((counters, i) => {
      late[i] = (late[i] ?? 0) + counters.late
    })
  }
  const sum = (name: 'records' | 'accepted') => shares.reduce((total, { commit }) => total + commit.counters[name], 0)
  const farBehind = shares.flatMap(share => share.farBehind ?? [])
  const stands = shares.map(standOf)
  return { records: sum('records'), accepted: sum('accepted'), dead, late, farBehind, stands }
}

/** The lines of a record count together: line_items[3].price is line_items[].price. */
function faultName(reason: DeadReason, field: string | null): string {
  return field === null ? reason : `${reason} at ${field.replace(/\[\d+\]/, '[]')}`
}

function addFault(faults: Map<string, Fault>, name: string, count: number, detail: string | null): void {
  const known = faults.get(name)
  faults.set(name, { count: (known?.count ?? 0) + count, detail: known?.detail ?? detail })
}

function isCommon(count: number, all: number): boolean {
  return count >= MIN_RECORDS && count >= all * MIN_SHARE
}
