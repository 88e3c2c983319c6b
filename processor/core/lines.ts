/**
 * Adds accepted records to the rows of all aggregations. A record with very many lines is added in parts, with commits in
 * between (contract, section 3); every other record is one part.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { BatchCursor } from './batches.ts'
import type { AggregateRows, RawSale } from './commit.ts'
import type { Decoder } from './decode/decoder.ts'
import type { Interner } from './decode/interner.ts'
import { DeltaTable } from './delta-table.ts'
import { lateEvent } from './kept-records.ts'
import type { Pending } from './pending.ts'
import { lastWindowStart, missedWindows, windowsPerEvent } from './window.ts'

export class LineCounter {
  readonly #partition: number
  readonly #compiled: CompiledSpec
  readonly #tables: DeltaTable[]
  readonly #windows: number[]
  readonly #rowsPerLine: number
  /** Of the current record, by aggregation: the start of its newest window, and those of the windows that it missed. */
  readonly #last: number[]
  readonly #missed: number[][]

  constructor(partition: number, compiled: CompiledSpec) {
    this.#partition = partition
    this.#compiled = compiled
    this.#tables = compiled.aggregations.map(a => new DeltaTable(a, compiled.fields))
    this.#windows = compiled.aggregations.map(a => windowsPerEvent(a.window))
    this.#rowsPerLine = this.#windows.reduce((sum, windows) => sum + windows, compiled.spec.raw ? 1 : 0)
    this.#last = this.#windows.map(() => 0)
    this.#missed = this.#windows.map(() => [])
  }

  /** Rows of all aggregations since the last `take`. */
  get rows(): number {
    let rows = 0
    for (const table of this.#tables) rows += table.size
    return rows
  }

  /** Returns true if this many lines may add more rows than `rows`. */
  exceeds(lines: number, rows: number): boolean {
    return lines * this.#rowsPerLine > rows
  }

  /** Returns how many lines add at most that many rows; at least 1. */
  linesWithin(rows: number): number {
    return Math.max(1, Math.floor(rows / this.#rowsPerLine))
  }

  /** Begins a record: determines its windows under the watermark before it. */
  begin(eventTime: number, watermark: number): void {
    for (let a = 0; a < this.#tables.length; a++) {
      const { window, allowedLateness } = this.#compiled.aggregations[a]!
      const last = lastWindowStart(window, eventTime)
      this.#last[a] = last
      this.#missed[a] = missedWindows(window, last, this.#windows[a]!, allowedLateness, watermark)
    }
  }

  /** Notes the lines before `line`, which an earlier commit counted: measures per event do not count them again. */
  resume(decoder: Decoder, line: number): void {
    const tables = this.#tables.filter(table => table.addsEvents)
    if (tables.length === 0) return
    for (const table of tables) table.forgetCounted() // its codes may be of another decoding
    for (let earlier = 0; earlier < line; earlier++) {
      decoder.selectLine(earlier)
      for (const table of tables) table.noteCounted(decoder.codes)
    }
  }

  /** Adds the lines from `from` on, before `to`, to every window that is still open. */
  add(decoder: Decoder, offset: number, from: number, to: number, pending: Pending): void {
    for (let a = 0; a < this.#tables.length; a++) {
      const open = this.#windows[a]! - this.#missed[a]!.length
      if (open === 0) continue
      const { window } = this.#compiled.aggregations[a]!
      const table = this.#tables[a]!
      const last = this.#last[a]!
      for (let line = from; line < to; line++) {
        decoder.selectLine(line)
        table.prepare(decoder.amounts)
        for (let w = 0; w < open; w++)
          table.addTo(window === null ? last : last - w * window.slide, decoder.codes, offset)
      }
      pending.aggregations[a]!.added += (to - from) * open
    }
    if (this.#compiled.spec.raw && !this.#isLate) this.#keepRaw(decoder, offset, from, to, pending)
  }

  /** Ends a record of which all lines are added: counts it, and keeps it if it missed windows. */
  end(cursor: BatchCursor, decoder: Decoder, pending: Pending): void {
    let lateInTime = false
    for (let a = 0; a < this.#tables.length; a++) {
      const missed = this.#missed[a]!
      const isLate = missed.length === this.#windows[a]
      const counters = pending.aggregations[a]!
      counters.missed += decoder.lines * missed.length
      counters.missedWindows += missed.length
      if (isLate) counters.late++
      else counters.onTime++
      if (isLate && this.#isInTime(decoder.time, cursor.timestamp, a)) lateInTime = true
      if (!isLate && missed.length > 0) counters.partlyLate++
      if (missed.length > 0) pending.late.push(lateEvent(this.#partition, cursor, a, decoder.time, missed, isLate))
      this.#tables[a]!.forgetCounted()
    }
    if (lateInTime) pending.support.noteLate(decoder.time)
  }

  /** True if the settings suffice for this event time when the timestamp of the record is right. */
  #isInTime(eventTime: number, timestamp: number, a: number): boolean {
    const { aggregations, spec } = this.#compiled
    return eventTime >= timestamp - spec.watermark.outOfOrderness - aggregations[a]!.allowedLateness
  }

  /** Returns the rows of each aggregation, and empties them. */
  take(strings: Interner): AggregateRows[] {
    return this.#tables.map((table, a) => table.take(a, strings))
  }

  /** True if the current record is late for every aggregation. */
  get #isLate(): boolean {
    return this.#missed.every((missed, a) => missed.length === this.#windows[a])
  }

  #keepRaw(decoder: Decoder, offset: number, from: number, to: number, pending: Pending): void {
    for (let line = from; line < to; line++) {
      decoder.selectLine(line)
      const values = this.#compiled.fields.map((_, field) => decoder.text(field))
      const sale: RawSale = { partition: this.#partition, offset, line, eventTime: decoder.time, values }
      pending.raw.push(sale)
    }
  }
}
