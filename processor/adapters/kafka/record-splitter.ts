/**
 * Cuts the records of one batch into pieces of bounded size. The records arrive in chunks, as a decompressor delivers
 * them, and at most one record and one chunk are in memory. A record above MAX_RECORD_BYTES is never held whole.
 */
import { createHash, type Hash } from 'node:crypto'
import { MAX_RECORD_BYTES } from '#pipeline/limits.ts'
import { BATCH_HEADER, COMPRESSION, type Cut, hasGaps, type Piece } from '#processor/core/batches.ts'

/** What a cut record keeps: its key up to this length, else nothing, and the first bytes of its value. */
const KEPT_KEY_BYTES = 64 << 10
const KEPT_VALUE_BYTES = 1 << 20
/** More than the fields before the value and the kept bytes take. */
const CUT_PREFIX_BYTES = 2 << 20

/** The record that is being skipped. `left`: its bytes that are still to come; the value's bytes come first. */
type Skipped = { piece: Buffer; left: number; valueLeft: number; valueBytes: number; hash: Hash }

export class RecordSplitter {
  readonly #header: Buffer
  readonly #hasGaps: boolean
  readonly #pieceBytes: number
  #buffer = Buffer.alloc(0)
  /** The buffer's bytes [start, scanned) are whole records; [scanned, end) is what follows. */
  #start = 0
  #scanned = 0
  #end = 0
  #records = 0
  #allRecords = 0
  #lastDelta = -1
  #skipped: Skipped | null = null

  /** `batch`: the batch, of which only the header is read. A piece ends with the record that reaches `pieceBytes`. */
  constructor(batch: Buffer, pieceBytes: number) {
    this.#header = batch.subarray(0, BATCH_HEADER)
    this.#hasGaps = hasGaps(batch, 0)
    this.#pieceBytes = pieceBytes
  }

  *push(chunk: Buffer): Generator<Piece> {
    this.#append(chunk)
    for (;;) {
      if (this.#skipped) {
        if (!this.#skip(this.#skipped)) return
        yield this.#takeCut(this.#skipped)
      }
      const length = this.#varint(this.#scanned)
      if (length === null) return
      if (length.value > MAX_RECORD_BYTES) {
        if (this.#end - this.#scanned < CUT_PREFIX_BYTES) return
        if (this.#records > 0) yield this.#take(this.#lastDelta)
        this.#beginCut(this.#scanned + length.size, length.value)
      } else if (!this.#scan(this.#scanned + length.size, length.value)) return
      else if (this.#scanned - this.#start >= this.#pieceBytes) yield this.#take(this.#lastDelta)
    }
  }

  /** Returns the last piece, perhaps without records: it moves the reader to the end of the batch. */
  finish(): Piece {
    const expected = this.#header.readInt32BE(57)
    const all = this.#allRecords + this.#records
    if (this.#skipped || this.#scanned < this.#end || all !== expected)
      throw new RangeError(`the batch holds ${all} whole records instead of ${expected}`)
    return this.#take(this.#header.readInt32BE(23))
  }

  #append(chunk: Buffer): void {
    const used = this.#end - this.#start
    if (this.#end + chunk.length > this.#buffer.length) {
      const needed = used + chunk.length
      const next = needed <= this.#buffer.length / 2 ? this.#buffer : Buffer.allocUnsafe(2 * needed)
      this.#buffer.copy(next, 0, this.#start, this.#end)
      this.#buffer = next
      this.#scanned -= this.#start
      this.#start = 0
      this.#end = used
    }
    chunk.copy(this.#buffer, this.#end)
    this.#end += chunk.length
  }

  /** Moves past one record, given without its length field. Returns false while it is incomplete. */
  #scan(bodyStart: number, length: number): boolean {
    if (bodyStart + length > this.#end) return false
    this.#lastDelta = this.#fields(bodyStart).delta
    this.#scanned = bodyStart + length
    this.#records++
    return true
  }

  /** Returns a batch of the whole records, and drops them. */
  #take(lastDelta: number): Piece {
    const data = this.#batch(lastDelta, this.#records, this.#buffer.subarray(this.#start, this.#scanned))
    this.#start = this.#scanned
    this.#allRecords += this.#records
    this.#records = 0
    return { data, cut: null }
  }

  /** Without gaps in the batch, the piece has none either, so it says at which offset it begins. */
  #batch(lastDelta: number, records: number, body: Buffer): Buffer {
    const data = uncompressed(this.#header, [body])
    const isDense = !this.#hasGaps && records > 0
    if (isDense) data.writeBigInt64BE(data.readBigInt64BE(0) + BigInt(this.#allRecords), 0)
    data.writeInt32BE(isDense ? records - 1 : lastDelta, 23)
    data.writeInt32BE(records, 57)
    return data
  }

  /** Returns the positions of a record's first fields. */
  #fields(bodyStart: number) {
    const start = bodyStart + 1 // attributes: unused
    let p = start
    while (this.#buffer[p]! > 127) p++ // timestamp
    const delta = this.#demand(p + 1)
    return { start, end: p + 1 + delta.size, delta: delta.value }
  }

  /** `bodyStart` and `length`: the record without its length field. CUT_PREFIX_BYTES of it are in the buffer. */
  #beginCut(bodyStart: number, length: number): void {
    const { start, end, delta } = this.#fields(bodyStart)
    const key = this.#bytes(end, KEPT_KEY_BYTES)
    const value = key.whole ? this.#bytes(key.end, KEPT_VALUE_BYTES) : { kept: null, length: 0, start: end }
    const body = Buffer.concat([
      Buffer.of(0),
      this.#buffer.subarray(start, end),
      field(key.whole ? key.kept : null),
      field(value.kept),
      varint(0), // headers
    ])
    this.#skipped = {
      piece: this.#batch(delta, 1, Buffer.concat([varint(body.length), body])),
      left: bodyStart + length - value.start,
      valueLeft: value.length,
      valueBytes: value.length,
      hash: createHash('sha256'),
    }
    this.#lastDelta = delta
    this.#start = this.#scanned = value.start
  }

  /** Reads a length and the bytes after it, of which it keeps a copy of at most `most`. */
  #bytes(at: number, most: number) {
    const { value, size } = this.#demand(at)
    const start = at + size
    const length = Math.max(0, value)
    const kept = value < 0 ? null : Buffer.from(this.#buffer.subarray(start, start + Math.min(length, most)))
    return { kept, length, start, end: start + length, whole: length <= most }
  }

  /** Drops bytes of the record that is too large. Returns true at its end. */
  #skip(skipped: Skipped): boolean {
    const size = Math.min(skipped.left, this.#end - this.#start)
    const ofValue = Math.min(size, skipped.valueLeft)
    skipped.hash.update(this.#buffer.subarray(this.#start, this.#start + ofValue))
    skipped.valueLeft -= ofValue
    skipped.left -= size
    this.#start = this.#scanned = this.#start + size
    return skipped.left === 0
  }

  #takeCut({ piece, valueBytes, hash }: Skipped): Piece {
    const cut: Cut = { valueBytes, valueSha256: hash.digest('hex') }
    this.#skipped = null
    this.#allRecords++
    return { data: piece, cut }
  }

  #demand(at: number): { value: number; size: number } {
    const read = this.#varint(at)
    if (!read) throw new RangeError('a record of the batch ends inside a field')
    return read
  }

  /** Reads a zigzag varint; null while its bytes have not all arrived. */
  #varint(at: number): { value: number; size: number } | null {
    let value = 0
    for (let size = 1; size <= 5; size++) {
      const p = at + size - 1
      if (p >= this.#end) return null
      const byte = this.#buffer[p]!
      value |= (byte & 127) << (7 * (size - 1))
      if (byte < 128) return { value: (value >>> 1) ^ -(value & 1), size }
    }
    throw new RangeError('a number in the batch is longer than 32 bits')
  }
}

/** Returns a batch like `batch`, but with `body` as its records, which are not compressed. */
export function uncompressed(batch: Buffer, body: Buffer[]): Buffer {
  const data = Buffer.concat([batch.subarray(0, BATCH_HEADER), ...body])
  data.writeInt32BE(data.length - 12, 8)
  data.writeInt16BE(data.readInt16BE(21) & ~COMPRESSION, 21)
  return data
}

function field(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
