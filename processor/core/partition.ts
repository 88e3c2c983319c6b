/**
 * One partition's deterministic step: (state, record batches) → (state, pending effects). What it computes depends on
 * the log and the spec history alone (contract, section 2): not on batch boundaries, clocks or who runs it.
 *
 * Per record: dead → duplicate → per aggregation late or accepted (section 6). While offset < claim.nextOffset the
 * state is being restored: event times and ids are noted, nothing is counted.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { type AbortedTransaction, BatchCursor, type Piece } from './batches.ts'
import type { Claim } from './claim.ts'
import type { PartitionCommit, RawSale } from './commit.ts'
import { type DecodeFault, Decoder } from './decode/decoder.ts'
import { Interner } from './decode/interner.ts'
import { DeltaTable } from './delta-table.ts'
import { deadLetter, lateEvent } from './kept-records.ts'
import { Pending, type Share } from './pending.ts'
import { SeenIds } from './seen-ids.ts'
import { SourceTimes } from './sources.ts'
import type { Lead } from './support.ts'
import { lastWindowStart, missedWindows, windowsPerEvent } from './window.ts'

/** Interned strings above this size are dropped at the next commit, so that memory stays bounded for any keys. */
const MAX_INTERNED_BYTES = 4 << 20

/** How much more a commit may hold. The last record may exceed the rows. */
export type Room = { records: number; rows: number }

const UNLIMITED: Room = { records: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY }

/** A range of the log with the spec that applies to it. */
type Program = { fromOffset: number; compiled: CompiledSpec; decoder: Decoder }

export class PartitionState {
  readonly partition: number
  readonly epoch: number
  readonly token: string
  /** Offset of the first record that was not processed yet. */
  nextOffset: number
  /** Greatest event time of the non-dead records before nextOffset; −Infinity: none. */
  maxEventTime: number

  readonly #compiled: CompiledSpec
  readonly #programs: Program[]
  readonly #strings = new Interner()
  readonly #cursor = new BatchCursor()
  readonly #seen: SeenIds | null
  readonly #sources: { times: SourceTimes; field: number } | null
  readonly #tables: DeltaTable[]
  /** Earlier commits counted everything before this offset. */
  readonly #countFrom: number
  readonly #rejected: Set<number>
  /** Greatest event time so far while restoring; ids are remembered by it. */
  #restoredMax: number
  #lead: Lead | null = null
  #pending: Pending

  /** `compileSpec` compiles a stored generation; the last segment of the claim is the spec to count with. */
  constructor(claim: Claim, compileSpec: (specJson: string) => CompiledSpec) {
    this.partition = claim.partition
    this.epoch = claim.epoch
    this.token = claim.token
    this.#programs = claim.segments.map(segment => {
      const compiled = compileSpec(segment.specJson)
      return { fromOffset: segment.fromOffset, compiled, decoder: new Decoder(compiled, this.#strings) }
    })
    this.#compiled = this.#programs.at(-1)!.compiled
    const { deduplication } = this.#compiled.spec
    this.#seen = deduplication ? new SeenIds() : null
    this.#sources = sourcesOf(this.#compiled, claim)
    this.#tables = this.#compiled.aggregations.map(a => new DeltaTable(a, this.#compiled.fields))
    this.#countFrom = claim.nextOffset
    this.#rejected = new Set(claim.rejectedOffsets)
    this.nextOffset = claim.restoreOffset
    this.maxEventTime = claim.maxEventTime ?? Number.NEGATIVE_INFINITY
    this.#restoredMax = claim.restoreMaxEventTime ?? Number.NEGATIVE_INFINITY
    this.#pending = new Pending(claim.nextOffset, this.#compiled.aggregations.length)
  }

  get restoring(): boolean {
    return this.nextOffset < this.#countFrom
  }

  /** Data records that wait for a commit. */
  get pendingRecords(): number {
    return this.#pending.counters.records
  }

  /** Payload bytes of these records. */
  get pendingBytes(): number {
    return this.#pending.bytes
  }

  /** Aggregate, late, dead and raw rows of these records. */
  get pendingRows(): number {
    const { late, dead, raw } = this.#pending
    let rows = late.length + dead.length + raw.length
    for (const table of this.#tables) rows += table.size
    return rows
  }

  /** True when the offset moved since the last commit, even if over control records only. */
  get dirty(): boolean {
    return !this.restoring && this.nextOffset > this.#pending.fromOffset
  }

  /** First offset that is neither committed nor frozen for a commit. */
  get uncommittedFrom(): number {
    return this.#pending.fromOffset
  }

  /** Watermark under the latest spec; −Infinity before the first event. */
  get watermark(): number {
    return this.#leadingTime - this.#compiled.spec.watermark.outOfOrderness
  }

  /** The event time that the watermark follows. */
  get #leadingTime(): number {
    return this.#sources ? this.#sources.times.agreed : this.maxEventTime
  }

  /** Ids forgotten inside the horizon because of maxIds. */
  get idsForgottenEarly(): number {
    return this.#seen?.forgottenEarly ?? 0
  }

  /** Begins a fetch response that starts at or before nextOffset. Its pieces follow, in order. */
  begin(aborted: AbortedTransaction[]): void {
    this.#cursor.begin(aborted, this.nextOffset)
  }

  /** Takes the next piece, which `process` then reads. Drops what is left of the one before. */
  feed(piece: Piece): void {
    if (this.restoring) this.#boundStrings() // nothing gathered yet can refer to a string
    this.#cursor.feed(piece)
  }

  /**
   * Counts the records of the piece until it ends or the room is used. Returns false if it may not have ended: then call
   * `process` again when there is room, or fetch the rest again; nextOffset shows where it begins.
   */
  process(room: Room = UNLIMITED): boolean {
    const cursor = this.#cursor
    const records = this.#pending.counters.records + room.records
    const rows = this.pendingRows + room.rows
    while (this.#pending.counters.records < records && this.pendingRows < rows) {
      if (!cursor.next()) {
        this.nextOffset = cursor.nextOffset
        return true
      }
      if (cursor.offset < this.#countFrom) this.#restore(cursor)
      else this.#count(cursor)
      this.nextOffset = cursor.nextOffset
    }
    return false
  }

  /** Continues at `offset` when the log no longer has the records before it. */
  skipTo(offset: number): void {
    this.nextOffset = Math.max(this.nextOffset, offset)
  }

  /** Treats the record at `offset` as dead from now on, because the store rejected it. */
  reject(offset: number): void {
    this.#rejected.add(offset)
  }

  /** Returns everything since the last call, for one commit, and empties the pending effects. */
  freeze(): Share {
    const oldest = this.#seen?.oldest() ?? null
    const max = finiteOrNull(this.maxEventTime)
    const pending = this.#pending
    const commit: PartitionCommit = {
      partition: this.partition,
      epoch: this.epoch,
      token: this.token,
      fromOffset: pending.fromOffset,
      nextOffset: this.nextOffset,
      restoreOffset: oldest?.offset ?? this.nextOffset,
      restoreMaxEventTime: oldest ? oldest.maxTime : max,
      maxEventTime: max,
      agreedTime: this.#sources && finiteOrNull(this.#sources.times.agreed),
      sources: this.#sources?.times.stored(this.nextOffset) ?? null,
      firstEventTime: pending.firstEventTime,
      leaderEpoch: this.#cursor.leaderEpoch,
      counters: { ...pending.counters, skipped: this.nextOffset - pending.fromOffset - pending.counters.records },
      aggregations: pending.aggregations,
    }
    const aggregates = this.#tables.map((table, i) => table.take(i, this.#strings))
    this.#pending = new Pending(this.nextOffset, this.#compiled.aggregations.length)
    this.#boundStrings()
    return { commit, aggregates, lead: this.#lead, ...pending.effects() }
  }

  #boundStrings(): void {
    if (this.#strings.bytes > MAX_INTERNED_BYTES) this.#strings.clear()
  }

  #programAt(offset: number): Program {
    const programs = this.#programs
    let i = programs.length - 1
    while (i > 0 && programs[i]!.fromOffset > offset) i--
    return programs[i]!
  }

  #restore(cursor: BatchCursor): void {
    const { decoder, compiled } = this.#programAt(cursor.offset)
    if (this.#rejected.has(cursor.offset) || decode(decoder, cursor)) return
    this.#restoredMax = Math.max(this.#restoredMax, decoder.time)
    this.#isDuplicate(decoder, compiled, cursor.offset, this.#restoredMax)
  }

  #count(cursor: BatchCursor): void {
    const { decoder } = this.#programs.at(-1)!
    const pending = this.#pending
    pending.counters.records++
    pending.bytes += Math.max(0, cursor.valueEnd - cursor.valueStart)
    pending.lastOffset = cursor.offset
    pending.noteOrigin(cursor)
    const fault = this.#rejected.has(cursor.offset) ? STORE_REJECTED : decode(decoder, cursor)
    if (fault) {
      pending.counters.dead++
      pending.dead.push(deadLetter(this.partition, cursor, fault))
      return
    }
    if (decoder.time < cursor.timestamp - this.#compiled.spec.watermark.maxPastSkew)
      pending.noteFarBehind(this.partition, cursor, decoder.time)
    const watermark = this.watermark
    if (!Number.isFinite(this.maxEventTime)) pending.firstEventTime = decoder.time
    this.#follow(decoder, cursor.offset)
    const { outOfOrderness } = this.#compiled.spec.watermark
    pending.support.note(decoder.time, watermark, this.watermark - watermark, outOfOrderness)
    if (this.#isDuplicate(decoder, this.#compiled, cursor.offset, this.maxEventTime)) {
      pending.counters.duplicate++
      return
    }
    pending.counters.accepted++
    this.#accept(cursor, decoder, watermark)
  }

  #follow(decoder: Decoder, offset: number): void {
    const before = this.#leadingTime
    this.maxEventTime = Math.max(this.maxEventTime, decoder.time)
    if (this.#sources && decoder.time > before) this.#sources.times.see(decoder.text(this.#sources.field), decoder.time)
    if (this.#leadingTime > before) this.#lead = { offset, eventTime: this.#leadingTime }
  }

  #isDuplicate(decoder: Decoder, compiled: CompiledSpec, offset: number, maxTime: number): boolean {
    const { deduplication } = compiled.spec
    if (!this.#seen || !deduplication) return false
    this.#seen.forget(maxTime, deduplication.horizon)
    return this.#seen.sight(decoder.id, offset, maxTime, deduplication.maxIds)
  }

  #accept(cursor: BatchCursor, decoder: Decoder, watermark: number): void {
    let lateEverywhere = true
    let lateInTime = false
    for (let a = 0; a < this.#tables.length; a++) {
      const missed = this.#aggregate(a, decoder, cursor.offset, watermark)
      const late = missed.length === windowsPerEvent(this.#compiled.aggregations[a]!.window)
      if (!late) lateEverywhere = false
      else if (this.#isInTime(decoder.time, cursor.timestamp, a)) lateInTime = true
      if (missed.length > 0) this.#pending.late.push(lateEvent(this.partition, cursor, a, decoder.time, missed, late))
    }
    if (lateInTime) this.#pending.support.noteLate(decoder.time)
    if (this.#compiled.spec.raw && !lateEverywhere) this.#keepRaw(cursor.offset, decoder)
  }

  /** True if the settings suffice for this event time when the timestamp of the record is right. */
  #isInTime(eventTime: number, timestamp: number, a: number): boolean {
    const { aggregations, spec } = this.#compiled
    return eventTime >= timestamp - spec.watermark.outOfOrderness - aggregations[a]!.allowedLateness
  }

  /** Adds every line to every window that is still open; returns the starts of the closed ones, ascending. */
  #aggregate(a: number, decoder: Decoder, offset: number, watermark: number): number[] {
    const { window, allowedLateness } = this.#compiled.aggregations[a]!
    const table = this.#tables[a]!
    const counters = this.#pending.aggregations[a]!
    const last = lastWindowStart(window, decoder.time)
    const windows = windowsPerEvent(window)
    const missed = missedWindows(window, last, windows, allowedLateness, watermark)
    const open = windows - missed.length
    if (open > 0) {
      for (let line = 0; line < decoder.lines; line++) {
        decoder.selectLine(line)
        table.prepare(decoder.amounts)
        for (let w = 0; w < open; w++)
          table.addTo(window === null ? last : last - w * window.slide, decoder.codes, offset)
      }
    }
    counters.added += decoder.lines * open
    counters.missed += decoder.lines * missed.length
    counters.missedWindows += missed.length
    if (open === 0) counters.late++
    else counters.onTime++
    if (open > 0 && missed.length > 0) counters.partlyLate++
    return missed
  }

  #keepRaw(offset: number, decoder: Decoder): void {
    for (let line = 0; line < decoder.lines; line++) {
      decoder.selectLine(line)
      const values = this.#compiled.fields.map((_, field) => decoder.text(field))
      const sale: RawSale = { partition: this.partition, offset, line, eventTime: decoder.time, values }
      this.#pending.raw.push(sale)
    }
  }
}

const STORE_REJECTED: DecodeFault = { reason: 'store_rejected', field: null }
const TOO_LARGE: DecodeFault = { reason: 'too_large', field: null }
const TOMBSTONE: DecodeFault = { reason: 'tombstone', field: null }

function decode(decoder: Decoder, cursor: BatchCursor): DecodeFault | null {
  if (cursor.cut) return TOO_LARGE
  if (cursor.valueEnd < 0) return TOMBSTONE
  return decoder.decode(cursor.bytes, cursor.valueStart, cursor.valueEnd, cursor.timestamp)
}

function sourcesOf({ spec, fields }: CompiledSpec, claim: Claim) {
  const { sources } = spec.watermark
  if (!sources) return null
  const field = fields.findIndex(({ name, line }) => name === sources.field && !line)
  return { times: new SourceTimes(sources, claim.sources, claim.nextOffset), field }
}

function finiteOrNull(time: number): number | null {
  return Number.isFinite(time) ? time : null
}
