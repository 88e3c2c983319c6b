/**
 * Recomputes sections 5 to 7 of the contract: the expected effects of every record of the log. Each partition is
 * processed separately in offset order; only the rows are merged.
 */
import { createHash } from 'node:crypto'
import { canonical, decode, Fault, type Line, type Sale } from './decode.ts'
import { EventClocks, type Stretch } from './gaps.ts'
import { Ids } from './ids.ts'
import { addLine, contributions, emptyTotals, type Totals, totalCells } from './measures.ts'
import { aggregationColumns, DEAD_COLUMNS, LATE_COLUMNS, rawColumns, rowText, type Table, timeCell } from './rows.ts'
import { Agreement } from './sources.ts'
import type { Aggregation, Generation, Rules, Spec } from './spec.ts'
import { windowEnd, windowStarts } from './windows.ts'

export interface LogRecord {
  partition: number
  offset: number
  /** Milliseconds since the epoch. */
  timestamp: number
  key: Buffer | null
  value: Buffer | null
  /** The record is longer than the contract allows (section 7). */
  tooLarge: boolean
}

/** Of a record that is too large, only a short key and the first bytes of the value are stored (section 8). */
const KEPT_KEY_BYTES = 64 * 1024
const KEPT_VALUE_BYTES = 1024 * 1024

export interface History {
  /** Partition → generations and the offset from which each is in force, ascending. */
  stretches: Map<number, Stretch[]>
  /** Ascending; at least one. */
  generations: Generation[]
  /** The generation that introduced each aggregation. */
  introduced: Map<string, number>
  topicId: string
  /** `partition/offset` → what the table says of a record that PostgreSQL rejected. */
  rejected: Map<string, Rejection>
}

export interface Rejection {
  field: string | null
  /** Lines that were counted before PostgreSQL rejected a later one. */
  countedLines: number
}

export function latestOf({ generations }: History): Generation {
  return generations.at(-1)!
}

export interface AggregationCounters {
  accepted: number
  late: number
  on_time: number
  partly_late: number
  missed_windows: number
  added: number
  missed: number
}

export interface PartitionState {
  records: number
  dead: number
  duplicate: number
  accepted: number
  /** Accepted records that are late for every aggregation. */
  late: number
  /** Greatest event time of the non-dead records so far. */
  maxEventTime: number
  /** Null without spec.watermark.sources. */
  agreement: Agreement | null
  /** Number of entries of the spec history that apply so far. */
  entries: number
  ids: Ids
  aggregations: Map<string, AggregationCounters>
}

export class Recomputation {
  readonly partitions = new Map<number, PartitionState>()
  readonly dead = new Map<string, string>()
  readonly late = new Map<string, string>()
  readonly raw = new Map<string, string>()
  storeRejected = 0
  /** Payload bytes of all dead letters, if none is dropped for lack of room. */
  deadBytes = 0
  private readonly totals = new Map<string, Map<string, Totals>>()
  private readonly spec: Spec
  private readonly history: History
  private readonly clocks: EventClocks

  constructor(spec: Spec, history: History) {
    this.spec = spec
    this.history = history
    this.clocks = new EventClocks(history.stretches)
  }

  /** Processes the next record of its partition. */
  add(record: LogRecord): void {
    const state = this.partition(record.partition)
    const generation = this.generationAt(record.partition, record.offset)
    state.records++
    this.applyGenerations(state, record.partition, record.offset, generation)
    this.clocks.reach(record.partition, record.offset)
    const sale = this.decodeOrAddDead(record, generation.rules)
    if (!sale) {
      state.dead++
      const lines = this.history.rejected.get(`${record.partition}/${record.offset}`)?.countedLines ?? 0
      if (lines > 0) this.addLines(record, lines)
      return
    }
    this.clocks.see(record.partition, sale.time)
    const watermark = watermarkOf(state, generation)
    state.maxEventTime = Math.max(state.maxEventTime, sale.time)
    if (state.agreement) state.agreement.report(canonical(sale.lines[0]![state.agreement.rule.field]!), sale.time)
    const { deduplication } = generation.rules
    if (deduplication && state.ids.see(sale.id!, state.maxEventTime, deduplication)) {
      state.duplicate++
      return
    }
    state.accepted++
    this.accept(record, sale, watermark, generation, state)
  }

  /** Adds only the first lines of a record, of which the rest is rejected or not counted yet. */
  addLines(record: LogRecord, lines: number): void {
    const state = this.partition(record.partition)
    const generation = this.generationAt(record.partition, record.offset)
    this.applyGenerations(state, record.partition, record.offset, generation)
    const whole = decode(record.value, record.timestamp, generation.rules)
    const sale = { ...whole, lines: whole.lines.slice(0, lines) }
    const watermark = watermarkOf(state, generation)
    let lateForAll = true
    for (const aggregation of this.activeIn(generation)) {
      const open = windowStarts(aggregation.window, sale.time).filter(start => !isMissed(aggregation, start, watermark))
      if (open.length > 0) lateForAll = false
      countersOf(state, aggregation.name).added += lines * open.length
      this.addTo(aggregation, sale, open)
    }
    if (!lateForAll && generation.rules.rawTable) this.addRaw(record, sale, generation.rules)
  }

  private activeIn(generation: Generation): Aggregation[] {
    return generation.rules.aggregations.filter(({ name }) => this.isActive(name, generation))
  }

  private generationAt(partition: number, offset: number): Generation {
    const stretches = this.history.stretches.get(partition) ?? []
    return stretches.findLast(({ from }) => from <= offset)?.generation ?? latestOf(this.history)
  }

  /** Each entry of the spec history with another setting than the one before forgets what the sources had reached. */
  private applyGenerations(state: PartitionState, partition: number, offset: number, current: Generation): void {
    const entries = this.history.stretches.get(partition) ?? [{ from: 0, generation: current }]
    while (state.entries < entries.length && entries[state.entries]!.from <= offset) {
      state.agreement = agreementFor(state.agreement, entries[state.entries]!.generation)
      state.entries++
    }
  }

  partition(partition: number): PartitionState {
    let state = this.partitions.get(partition)
    if (!state) {
      const counters = { records: 0, dead: 0, duplicate: 0, accepted: 0, late: 0 }
      state = {
        ...counters,
        maxEventTime: Number.NEGATIVE_INFINITY,
        agreement: null,
        entries: 0,
        ids: new Ids(),
        aggregations: new Map(),
      }
      this.partitions.set(partition, state)
    }
    return state
  }

  private decodeOrAddDead(record: LogRecord, rules: Rules): Sale | null {
    const rejection = this.history.rejected.get(`${record.partition}/${record.offset}`)
    try {
      if (record.tooLarge) throw new Fault('too_large')
      const sale = decode(record.value, record.timestamp, rules)
      if (!rejection) return sale
      this.storeRejected++
      this.addDead(record, new Fault('store_rejected', rejection.field))
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.addDead(record, error)
    }
    return null
  }

  private addDead(record: LogRecord, { reason, field }: Fault): void {
    const { partition, offset } = record
    const { key, value } = reason === 'too_large' ? cut(record) : record
    const kept = value?.subarray(0, this.spec.deadLetters.maxPayload) ?? null
    this.deadBytes += kept?.length ?? 0
    // The path of a field may have U+0000 or a lone surrogate, which PostgreSQL cannot store.
    const stored = field?.replace(/\0/g, '\uFFFD').toWellFormed() ?? null
    const values = [reason, stored, fingerprint(key), fingerprint(kept)]
    this.dead.set(rowText([this.history.topicId, partition, offset]), rowText(values))
  }

  private accept(
    record: LogRecord,
    sale: Sale,
    watermark: number,
    generation: Generation,
    state: PartitionState,
  ): void {
    let lateForAll = true
    for (const aggregation of this.activeIn(generation)) {
      const starts = windowStarts(aggregation.window, sale.time)
      const missed = starts.filter(start => isMissed(aggregation, start, watermark))
      const open = starts.filter(start => !isMissed(aggregation, start, watermark))
      if (open.length > 0) lateForAll = false
      count(countersOf(state, aggregation.name), sale, missed, open)
      if (missed.length > 0) this.addLate(record, sale, aggregation, missed, open.length === 0)
      this.addTo(aggregation, sale, open)
    }
    if (lateForAll) state.late++
    else if (generation.rules.rawTable) this.addRaw(record, sale, generation.rules)
  }

  /** An aggregation with a new identity starts at the generation that introduced it. */
  private isActive(name: string, generation: Generation): boolean {
    return generation.number >= (this.history.introduced.get(name) ?? 0)
  }

  private addLate(record: LogRecord, sale: Sale, { name }: Aggregation, missed: number[], entirely: boolean): void {
    const key = rowText([record.partition, record.offset, name])
    this.late.set(key, rowText([sale.time, missed, canonical(entirely), fingerprint(record.value)]))
  }

  private addRaw({ partition, offset }: LogRecord, sale: Sale, rules: Rules): void {
    const columns = rawColumns(rules).values.slice(1)
    sale.lines.forEach((line, index) => {
      const values = [sale.time, ...columns.map(column => canonical(line[column] ?? null))]
      this.raw.set(rowText([partition, offset, index]), rowText(values))
    })
  }

  private addTo({ name, groupBy, measures }: Aggregation, sale: Sale, open: number[]): void {
    const rows = this.rowsOf(name)
    const touched = new Set<string>()
    for (const line of sale.lines) {
      const values = contributions(measures, line)
      for (const start of open) {
        const key = rowKey(start, groupBy, line)
        if (!rows.has(key)) rows.set(key, emptyTotals(measures))
        addLine(rows.get(key)!, measures, values, !touched.has(key))
        touched.add(key)
      }
    }
  }

  private rowsOf(aggregation: string): Map<string, Totals> {
    if (!this.totals.has(aggregation)) this.totals.set(aggregation, new Map())
    return this.totals.get(aggregation)!
  }

  /** Returns whether the window that starts at the given time may lack records. Call it after the last record. */
  partialWindows(aggregation: Aggregation): (start: number) => boolean {
    const { name } = aggregation
    return this.clocks.partialWindows(
      aggregation,
      generation => generation.rules.aggregations.some(known => known.name === name) && this.isActive(name, generation),
    )
  }

  /** Returns the expected rows of an aggregation's table. */
  aggregationTable(aggregation: Aggregation): Table {
    const rows = new Map<string, string>()
    for (const [key, totals] of this.rowsOf(aggregation.name)) {
      const start = JSON.parse(key)[0]
      const end = timeCell(windowEnd(aggregation.window, start))
      rows.set(key, rowText([end, ...totalCells(totals, aggregation.measures)]))
    }
    return { name: aggregation.name, ...aggregationColumns(aggregation), rows }
  }

  lateTable(): Table {
    return { name: 'late_events', ...LATE_COLUMNS, rows: this.late }
  }

  deadTable(): Table {
    return { name: 'dead_letters', ...DEAD_COLUMNS, rows: this.dead }
  }

  rawTable(): Table | null {
    return this.spec.raw && { name: this.spec.raw.table, ...rawColumns(latestOf(this.history).rules), rows: this.raw }
  }
}

function agreementFor(before: Agreement | null, { rules: { sources } }: Generation): Agreement | null {
  if (!sources) return null
  const isSame = before?.rule.field === sources.field && before.rule.atLeast === sources.atLeast
  return isSame ? before : new Agreement(sources)
}

function watermarkOf({ agreement, maxEventTime }: PartitionState, { rules }: Generation): number {
  return (agreement?.time ?? maxEventTime) - rules.outOfOrderness
}

function isMissed({ window, allowedLateness }: Aggregation, start: number, watermark: number): boolean {
  return windowEnd(window, start) + allowedLateness <= watermark
}

function countersOf(state: PartitionState, aggregation: string): AggregationCounters {
  let counters = state.aggregations.get(aggregation)
  if (!counters) {
    counters = { accepted: 0, late: 0, on_time: 0, partly_late: 0, missed_windows: 0, added: 0, missed: 0 }
    state.aggregations.set(aggregation, counters)
  }
  return counters
}

function count(counters: AggregationCounters, { lines }: Sale, missed: number[], open: number[]): void {
  counters.accepted++
  if (open.length === 0) counters.late++
  else counters.on_time++
  if (open.length > 0 && missed.length > 0) counters.partly_late++
  counters.missed_windows += missed.length
  counters.added += lines.length * open.length
  counters.missed += lines.length * missed.length
}

function rowKey(start: number, groupBy: string[], line: Line): string {
  return rowText([timeCell(start), ...groupBy.map(field => canonical(line[field]!))])
}

/** Returns a hash of bytes that are compared but not kept. */
export function fingerprint(value: Buffer | null): string | null {
  return value && createHash('sha256').update(value).digest('base64url').slice(0, 22)
}

function cut({ key, value }: LogRecord): Pick<LogRecord, 'key' | 'value'> {
  if (key !== null && key.length > KEPT_KEY_BYTES) return { key: null, value: null }
  return { key, value: value?.subarray(0, KEPT_VALUE_BYTES) ?? null }
}
