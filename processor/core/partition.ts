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
import type { PartitionCommit } from './commit.ts'
import { Decoder } from './decode/decoder.ts'
import { Interner } from './decode/interner.ts'
import { EventTimes, type StoredTimes } from './event-times.ts'
import { deadLetter } from './kept-records.ts'
import { LineCounter } from './lines.ts'
import { Pending, type Share } from './pending.ts'
import { faultOf, STORE_REJECTED } from './record-fault.ts'
import { SeenIds } from './seen-ids.ts'
import { translateShare } from './translate.ts'

/** A record with many lines is counted in steps of this share of the rows, because lines may share rows. */
const STEPS = 8

/** Interned strings above this size are dropped at the next commit, so that memory stays bounded for any keys. */
const MAX_INTERNED_BYTES = 4 << 20

/**
 * How much more a commit may hold. The last record may exceed `rows`, by at most `recordRows`: a record with more rows is
 * counted in parts.
 */
export type Room = { records: number; rows: number; recordRows: number }

const UNLIMITED: Room = {
  records: Number.POSITIVE_INFINITY,
  rows: Number.POSITIVE_INFINITY,
  recordRows: Number.POSITIVE_INFINITY,
}

/** A range of the log with the spec that applies to it. */
type Program = { fromOffset: number; compiled: CompiledSpec; decoder: Decoder }

/** What a commit stores of the event times and ids before a record. */
type Before = StoredTimes & { oldestId: { offset: number; maxTime: number } | null }

/** A record of which the lines before `line` are counted. */
type BegunRecord = {
  offset: number
  line: number
  watermark: number
  /** A commit inside the record stores the state before it, because the store may still reject the record. */
  before: Before
  /** Lines that are counted before the rows are looked at again. */
  step: number
  /** True if a commit took the rows of these lines. */
  isCommitted: boolean
}

export class PartitionState {
  readonly partition: number
  readonly epoch: number
  readonly token: string
  /** Offset of the first record that was not processed yet. */
  nextOffset: number

  readonly #compiled: CompiledSpec
  /** The spec of the worker: another one if the claim only finishes a record. */
  readonly #current: CompiledSpec
  readonly #programs: Program[]
  readonly #strings = new Interner()
  readonly #cursor = new BatchCursor()
  readonly #seen: SeenIds | null
  readonly #times: EventTimes
  readonly #lines: LineCounter
  /** Earlier commits counted everything before this offset. */
  readonly #countFrom: number
  /** Earlier commits counted so many lines of the record at that offset. */
  readonly #countFromLine: number
  readonly #finishesRecord: boolean
  readonly #rejected: Set<number>
  /** Greatest event time so far while restoring; ids are remembered by it. */
  #restoredMax: number
  #pending: Pending
  #begun: BegunRecord | null = null
  /** True while the cursor is still at the begun record. */
  #isAtBegun = false

  /** `compileSpec` compiles a stored generation; the last segment of the claim is the spec to count with. */
  constructor(claim: Claim, compileSpec: (specJson: string) => CompiledSpec, current?: CompiledSpec) {
    this.partition = claim.partition
    this.epoch = claim.epoch
    this.token = claim.token
    this.#programs = claim.segments.map(segment => {
      const compiled = compileSpec(segment.specJson)
      return { fromOffset: segment.fromOffset, compiled, decoder: new Decoder(compiled, this.#strings) }
    })
    this.#compiled = this.#programs.at(-1)!.compiled
    this.#current = current ?? this.#compiled
    const { deduplication } = this.#compiled.spec
    this.#seen = deduplication ? new SeenIds() : null
    this.#times = new EventTimes(this.#compiled, claim)
    this.#lines = new LineCounter(claim.partition, this.#compiled)
    this.#countFrom = claim.nextOffset
    this.#countFromLine = claim.nextLine
    this.#finishesRecord = claim.finishesRecord
    this.#rejected = new Set(claim.rejectedOffsets)
    this.nextOffset = claim.restoreOffset
    this.#restoredMax = claim.restoreMaxEventTime ?? Number.NEGATIVE_INFINITY
    this.#pending = new Pending(claim.nextOffset, claim.nextLine, this.#compiled.aggregations.length)
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
    return late.length + dead.length + raw.length + this.#lines.rows
  }

  /** True when the position moved since the last commit, even if over control records only. */
  get dirty(): boolean {
    const { fromOffset, fromLine } = this.#pending
    return !this.restoring && (this.nextOffset > fromOffset || this.#nextLine > fromLine)
  }

  /** True when the record that the claim was made for is counted: the partition must be claimed again. */
  get finished(): boolean {
    return this.#finishesRecord && this.nextOffset > this.#countFrom
  }

  /** First offset that is neither committed nor frozen for a commit. */
  get uncommittedFrom(): number {
    return this.#pending.fromOffset
  }

  /** Watermark under the latest spec; −Infinity before the first event. */
  get watermark(): number {
    return this.#times.watermark
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
    this.#isAtBegun = false
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
    while (this.#pending.counters.records < records && this.pendingRows < rows && !this.finished) {
      if (!this.#isAtBegun && !cursor.next()) {
        this.nextOffset = cursor.nextOffset
        return true
      }
      if (cursor.offset < this.#countFrom) this.#restore(cursor)
      else if (!this.#count(cursor, rows, room.recordRows)) {
        this.nextOffset = cursor.offset
        this.#isAtBegun = true
        return false
      }
      this.#isAtBegun = false
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
    const begun = this.#nextLine > 0 ? this.#begun : null
    const { maxEventTime, agreedTime, sources, oldestId } = begun?.before ?? this.#stateAt(this.nextOffset)
    const pending = this.#pending
    const commit: PartitionCommit = {
      partition: this.partition,
      epoch: this.epoch,
      token: this.token,
      fromOffset: pending.fromOffset,
      fromLine: pending.fromLine,
      nextOffset: this.nextOffset,
      nextLine: this.#nextLine,
      restoreOffset: oldestId?.offset ?? this.nextOffset,
      restoreMaxEventTime: oldestId ? oldestId.maxTime : maxEventTime,
      maxEventTime,
      agreedTime,
      sources,
      firstEventTime: pending.firstEventTime,
      leaderEpoch: this.#cursor.leaderEpoch,
      counters: { ...pending.counters, skipped: this.nextOffset - pending.fromOffset - pending.counters.records },
      aggregations: pending.aggregations,
    }
    const aggregates = this.#lines.take(this.#strings)
    this.#pending = new Pending(this.nextOffset, this.#nextLine, this.#compiled.aggregations.length)
    if (begun) begun.isCommitted = true
    this.#boundStrings()
    const share = { commit, aggregates, lead: this.#times.lead, ...pending.effects() }
    return this.#finishesRecord ? translateShare(share, this.#compiled, this.#current) : share
  }

  /** Returns the state before the record at `offset`. */
  #stateAt(offset: number): Before {
    return { ...this.#times.storedAt(offset), oldestId: this.#seen?.oldest() ?? null }
  }

  /** Counted lines of the record at nextOffset; 0: none. */
  get #nextLine(): number {
    if (this.#begun?.offset === this.nextOffset) return this.#begun.line
    return this.nextOffset === this.#countFrom ? this.#countFromLine : 0
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
    if (this.#rejected.has(cursor.offset) || faultOf(decoder, cursor)) return
    this.#restoredMax = Math.max(this.#restoredMax, decoder.time)
    this.#isDuplicate(decoder, compiled, cursor.offset, this.#restoredMax)
  }

  /** `rows`, `recordRows`: see `Room`, `rows` with those that are gathered. Returns false if lines are left to count. */
  #count(cursor: BatchCursor, rows: number, recordRows: number): boolean {
    const { decoder } = this.#programs.at(-1)!
    const pending = this.#pending
    pending.bytes += Math.max(0, cursor.valueEnd - cursor.valueStart)
    pending.lastOffset = cursor.offset
    const fault = this.#rejected.has(cursor.offset) ? STORE_REJECTED : faultOf(decoder, cursor)
    if (fault) {
      pending.counters.dead++
      pending.dead.push(deadLetter(this.partition, cursor, fault, decoder, this.#countedLines(cursor.offset)))
    } else if (this.#begun?.offset === cursor.offset) {
      if (!this.#resume(cursor, decoder, this.#begun, rows)) return false
    } else if (!this.#begin(cursor, decoder, rows, recordRows)) return false
    pending.counters.records++
    pending.noteOrigin(cursor)
    return true
  }

  /** Lines of the record that were counted before the claim. */
  #countedLines(offset: number): number {
    return offset === this.#countFrom ? this.#countFromLine : 0
  }

  #begin(cursor: BatchCursor, decoder: Decoder, rows: number, recordRows: number): boolean {
    const pending = this.#pending
    if (decoder.time < cursor.timestamp - this.#compiled.spec.watermark.maxPastSkew)
      pending.noteFarBehind(this.partition, cursor, decoder.time)
    const times = this.#times
    const { watermark } = times
    const isFirst = !Number.isFinite(times.max)
    const line = this.#countedLines(cursor.offset)
    const isLong = line > 0 || this.#lines.exceeds(decoder.lines, recordRows)
    const before = isLong ? this.#stateAt(cursor.offset) : null
    times.follow(decoder, cursor.offset)
    const { outOfOrderness } = this.#compiled.spec.watermark
    pending.support.note(decoder.time, watermark, times.watermark - watermark, outOfOrderness)
    if (this.#isDuplicate(decoder, this.#compiled, cursor.offset, times.max)) {
      if (isFirst) pending.firstEventTime = decoder.time
      pending.counters.duplicate++
      return true
    }
    if (before) {
      const step = this.#lines.linesWithin(recordRows / STEPS)
      this.#begun = { offset: cursor.offset, line, watermark, before, step, isCommitted: line > 0 }
      return this.#resume(cursor, decoder, this.#begun, rows)
    }
    this.#lines.begin(decoder.time, watermark)
    this.#lines.add(decoder, cursor.offset, 0, decoder.lines, pending)
    this.#end(cursor, decoder, isFirst)
    return true
  }

  /** Counts further lines of a record, at least one of them. Returns false if lines are left. */
  #resume(cursor: BatchCursor, decoder: Decoder, begun: BegunRecord, rows: number): boolean {
    const lines = this.#lines
    lines.begin(decoder.time, begun.watermark)
    if (begun.isCommitted) lines.resume(decoder, begun.line)
    begun.isCommitted = false
    do {
      const to = Math.min(begun.line + begun.step, decoder.lines)
      lines.add(decoder, cursor.offset, begun.line, to, this.#pending)
      begun.line = to
    } while (begun.line < decoder.lines && this.pendingRows < rows)
    if (begun.line < decoder.lines) return false
    this.#end(cursor, decoder, begun.before.maxEventTime === null)
    this.#begun = null
    return true
  }

  /** Ends an accepted record. `isFirst`: no record before it had an event time. */
  #end(cursor: BatchCursor, decoder: Decoder, isFirst: boolean): void {
    if (isFirst) this.#pending.firstEventTime = decoder.time
    this.#pending.counters.accepted++
    this.#lines.end(cursor, decoder, this.#pending)
  }

  #isDuplicate(decoder: Decoder, compiled: CompiledSpec, offset: number, maxTime: number): boolean {
    const { deduplication } = compiled.spec
    if (!this.#seen || !deduplication) return false
    this.#seen.forget(maxTime, deduplication.horizon)
    return this.#seen.sight(decoder.id, offset, maxTime, deduplication.maxIds)
  }
}
