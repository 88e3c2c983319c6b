/**
 * Walks Kafka record batches (message format v2) in place, without an object per record.
 * Layout: https://kafka.apache.org/documentation/#recordbatch. The adapter that received the bytes has checked the CRCs
 * and decompressed the batches.
 *
 * Aborted transactions are skipped, as a read-committed consumer must do: the fetch answer lists the aborted producers,
 * and each is ignored from its first offset until its abort marker.
 */

/** Bytes of a batch before its first record. */
export const BATCH_HEADER = 61
export const COMPRESSION = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
export const CONTROL = 0x20
/** Control record keys: version int16, type int16; type 0 is ABORT. */
const ABORT = 0

/** A varlong of at most 7 bytes has 49 bits, so its sum with a safe integer is exact, or far outside of all times. */
const EXACT_BYTES = 7

export type AbortedTransaction = { producerId: bigint; firstOffset: number }

/** Of a record that is too large to be held: the size and the SHA-256 (hex) of its value, of which a prefix is left. */
export type Cut = { valueBytes: number; valueSha256: string }

/** Part of a fetch response: whole batches, none compressed. With `cut`, they hold one record, and that one is cut. */
export type Piece = { data: Buffer; cut: Cut | null }

/** Returns the total length of the batch at `at`, or 0 when it is cut off: an answer may end inside a batch. */
export function batchLength(data: Buffer, at: number): number {
  if (data.length - at < BATCH_HEADER) return 0
  const length = 12 + data.readInt32BE(at + 8)
  return at + length <= data.length ? length : 0
}

/** Returns the offset where the next fetch continues: after the last whole batch, or `from` when there is none. */
export function offsetAfter(data: Buffer, from: number): number {
  let next = from
  for (let at = 0, length: number; (length = batchLength(data, at)) > 0; at += length)
    next = readOffset(data, at) + data.readInt32BE(at + 23) + 1
  return next
}

/** Returns the leader epoch of the last whole batch; −1 when there is none. */
export function lastEpoch(data: Buffer): number {
  let epoch = -1
  for (let at = 0, length: number; (length = batchLength(data, at)) > 0; at += length) epoch = data.readInt32BE(at + 12)
  return epoch
}

/**
 * Returns whether the batch at `at` lacks records that its offsets have room for, because compaction removed them. A batch of a
 * producer has none: the broker demands one record for each offset. Only a batch with gaps needs the deltas of its records; in
 * any other they say the same, or a hostile producer wrote something else, which would hide records of others.
 */
export function hasGaps(data: Buffer, at: number): boolean {
  return data.readInt32BE(at + 57) !== data.readInt32BE(at + 23) + 1
}

const CORRUPT = "Check the broker's disk; restore the partition from a replica"

/** Offsets and timestamps fit a double: no log reaches 2^53 records. */
function readOffset(data: Buffer, at: number): number {
  return data.readInt32BE(at) * 2 ** 32 + data.readUInt32BE(at + 4)
}

/**
 * Call `begin` for each fetch response, `feed` for each of its pieces, and then `next` until it returns false. The fields
 * describe the current data record.
 */
export class BatchCursor {
  /** Holds key and value. */
  bytes: Buffer = Buffer.alloc(0)
  cut: Cut | null = null
  offset = 0
  /** CreateTime or LogAppendTime in ms, as configured for the topic. */
  timestamp = 0
  /** A negative keyEnd or valueEnd means null. */
  keyStart = 0
  keyEnd = -1
  valueStart = 0
  valueEnd = -1
  headerCount = 0
  headersStart = 0
  /** Leader epoch of the last batch, even if it had no data records; −1 before the first. */
  leaderEpoch = -1
  /** First offset that is not yet delivered or skipped. */
  nextOffset = 0

  #at = 0
  #aborted: AbortedTransaction[] = []
  #abortedNext = 0
  #ignored = new Set<bigint>()
  #batchEnd = 0
  #nextAfterBatch = 0
  #remaining = 0
  #position = 0
  #baseOffset = 0
  /** Index of the next record; null if the batch has gaps. */
  #index: number | null = null
  #batchAt = 0
  #baseTimestamp = 0
  #appendTime = -1

  /** Skips records before `fromOffset`, because a fetch returns whole batches. */
  begin(aborted: AbortedTransaction[], fromOffset: number): void {
    this.#aborted = aborted.length > 1 ? aborted.toSorted((a, b) => a.firstOffset - b.firstOffset) : aborted
    this.#abortedNext = 0
    this.#ignored.clear()
    this.nextOffset = fromOffset
  }

  /** Drops what is left of the previous piece. */
  feed({ data, cut }: Piece): void {
    this.bytes = data
    this.cut = cut
    this.#at = 0
    this.#remaining = 0
  }

  next(): boolean {
    for (;;) {
      while (this.#remaining > 0) {
        this.#remaining--
        this.#readRecord()
        const isNew = this.offset >= this.nextOffset
        // Compaction and aborted tails leave gaps: the batch's own last offset counts, not its last record's.
        if (this.#remaining === 0) this.nextOffset = this.#endBatch()
        else if (isNew) this.nextOffset = this.offset + 1
        if (isNew) return true
      }
      if (!this.#openBatch()) return false
    }
  }

  /** True when the broker set the timestamp, which then does not show when the record was created. */
  get isAppendTime(): boolean {
    return this.#appendTime >= 0
  }

  /** Returns key and value text of each header of the current record. */
  headers(): [string, string][] {
    const saved = this.#position
    this.#position = this.headersStart
    const headers: [string, string][] = []
    for (let i = 0; i < this.headerCount; i++) headers.push([this.#readText(), this.#readText()])
    this.#position = saved
    return headers
  }

  /** Enters the next whole batch. A batch without data records only moves nextOffset. */
  #openBatch(): boolean {
    const data = this.bytes
    const at = this.#at
    const length = batchLength(data, at)
    if (length === 0) return false
    this.#at = at + length
    const lastOffset = readOffset(data, at) + data.readInt32BE(at + 23)
    if (lastOffset < this.nextOffset && !(data.readInt16BE(at + 21) & CONTROL)) return true
    const attributes = data.readInt16BE(at + 21)
    this.leaderEpoch = data.readInt32BE(at + 12)
    this.#baseOffset = readOffset(data, at)
    this.#nextAfterBatch = lastOffset + 1
    if (this.#isInvisible(data, at, attributes, lastOffset)) {
      this.nextOffset = Math.max(this.nextOffset, lastOffset + 1)
      return true
    }
    this.#batchAt = at
    this.#baseTimestamp = readOffset(data, at + 27)
    this.#appendTime = attributes & LOG_APPEND_TIME ? readOffset(data, at + 35) : -1
    this.#remaining = data.readInt32BE(at + 57)
    this.#index = hasGaps(data, at) ? null : 0
    this.#position = at + BATCH_HEADER
    this.#batchEnd = at + length
    if (this.#remaining === 0) this.nextOffset = Math.max(this.nextOffset, lastOffset + 1)
    return true
  }

  #endBatch(): number {
    if (this.#position < this.#batchEnd)
      throw new RangeError(
        `the batch that begins at offset ${this.#baseOffset} has more bytes than its records. ${CORRUPT}`,
      )
    return this.#nextAfterBatch
  }

  /** True for control batches, and for batches of aborted transactions. */
  #isInvisible(data: Buffer, at: number, attributes: number, lastOffset: number): boolean {
    if (!(attributes & TRANSACTIONAL)) return (attributes & CONTROL) !== 0
    const producerId = data.readBigInt64BE(at + 43)
    while (this.#abortedNext < this.#aborted.length && this.#aborted[this.#abortedNext]!.firstOffset <= lastOffset)
      this.#ignored.add(this.#aborted[this.#abortedNext++]!.producerId)
    if (attributes & CONTROL) {
      if (this.#isAbortMarker(data, at)) this.#ignored.delete(producerId)
      return true
    }
    return this.#ignored.has(producerId)
  }

  /** Control batches hold one record and are never compressed. */
  #isAbortMarker(data: Buffer, at: number): boolean {
    this.#position = at + BATCH_HEADER
    this.#batchEnd = data.length
    this.#readRecord()
    return this.keyEnd - this.keyStart >= 4 && data.readInt16BE(this.keyStart + 2) === ABORT
  }

  #readRecord(): void {
    const length = this.#readVarint()
    const end = this.#position + length
    if (length < 0 || end > this.#batchEnd)
      throw new RangeError(
        `a record of the batch that begins at offset ${this.#baseOffset} is longer than the batch. ${CORRUPT}`,
      )
    this.#position++ // attributes: unused
    const createTime = this.#readCreateTime()
    this.timestamp = this.#appendTime >= 0 ? this.#appendTime : createTime
    const delta = this.#readVarint()
    this.offset = this.#baseOffset + (this.#index === null ? delta : this.#index++)
    const keyLength = this.#readVarint()
    this.keyStart = this.#position
    this.keyEnd = keyLength < 0 ? -1 : (this.#position += keyLength)
    const valueLength = this.#readVarint()
    this.valueStart = this.#position
    this.valueEnd = valueLength < 0 ? -1 : (this.#position += valueLength)
    this.headerCount = this.#readVarint()
    this.headersStart = this.#position
    if (this.#position > end)
      throw new RangeError(
        `the record at offset ${this.offset} is corrupt: its fields do not fit into its stated length. ${CORRUPT}`,
      )
    this.#position = end
  }

  /** Zigzag varint of at most 32 bits. */
  #readVarint(): number {
    const bytes = this.bytes
    let byte = bytes[this.#position++]!
    let value = byte & 127
    for (let shift = 7; byte > 127; shift += 7) {
      byte = bytes[this.#position++]!
      value |= (byte & 127) << shift
    }
    return (value >>> 1) ^ -(value & 1)
  }

  /**
   * Adds the record's delta, a zigzag varlong, to the batch's timestamp. Usual deltas are short; doubles add them exactly.
   * Multiplication, because shifts work on 32 bits only.
   */
  #readCreateTime(): number {
    const bytes = this.bytes
    const start = this.#position
    let value = 0
    let factor = 1
    let byte: number
    do {
      byte = bytes[this.#position++]!
      value += (byte & 127) * factor
      factor *= 128
    } while (byte > 127)
    if (this.#position - start > EXACT_BYTES || !Number.isSafeInteger(this.#baseTimestamp))
      return this.#exactCreateTime(start)
    return this.#baseTimestamp + (value % 2 === 1 ? -(value + 1) / 2 : value / 2)
  }

  /**
   * Computes in 64 bits that wrap around, as Kafka does: the broker has checked the result of that against the topic's
   * bounds. Any other arithmetic lets a producer choose a timestamp that the broker has not seen.
   */
  #exactCreateTime(start: number): number {
    let zigzag = 0n
    for (let p = this.#position - 1; p >= start; p--) zigzag = (zigzag << 7n) | BigInt(this.bytes[p]! & 127)
    const delta = zigzag & 1n ? -((zigzag + 1n) >> 1n) : zigzag >> 1n
    return Number(BigInt.asIntN(64, this.bytes.readBigInt64BE(this.#batchAt + 27) + delta))
  }

  #readText(): string {
    const length = this.#readVarint()
    if (length < 0) return ''
    return this.bytes.toString('utf8', this.#position, (this.#position += length))
  }
}
