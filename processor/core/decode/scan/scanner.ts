/**
 * The fast road: one pass over the bytes of an ordinary event, no allocation. It answers good records only; whatever is
 * unusual (escapes in what is read, duplicates of it, exponents, long digits, anything dead) is left to the parser.
 * Where it answers, it answers as the parser would. Positions are as in skip.ts.
 */
import type { Plan } from '#pipeline/plan.ts'
import { hash128 } from '../hash.ts'
import type { Interner } from '../interner.ts'
import type { Outputs } from '../outputs.ts'
import { EPOCH_SHIFT, Rfc3339, withinYears } from '../time.ts'
import { FieldReader } from './field-reader.ts'
import { KeyMemo, LAST_TURN } from './key-memo.ts'
import { ID, Paths, TIME } from './paths.ts'
import { isExponent, PlainNumber, wholeEnd } from './plain-number.ts'
import { plainEnd, utf8End } from './plain-string.ts'
import { isSpace, MAX_SCAN_DEPTH, skipSpace, skipValue } from './skip.ts'

const CLOSE_BRACE = 0x7d
const COLON = 0x3a
const COMMA = 0x2c
const DOT = 0x2e
const MINUS = 0x2d
const OPEN_BRACE = 0x7b
const QUOTE = 0x22
const SPACE = 0x20

export class Scanner {
  readonly #out: Outputs
  readonly #fields: FieldReader
  readonly #paths: Paths
  /** By node of the paths: the record, as #record counts them, that had its key last. */
  readonly #metIn: Int32Array
  #record = 0
  readonly #memo = new KeyMemo()
  /** Keys met in this record. */
  #turn = 0
  /** Readers that met their value in this record. */
  #served = 0
  /** Null: RFC 3339. */
  readonly #epochShift: number | null
  readonly #rfc3339: Rfc3339
  readonly #number = new PlainNumber()
  readonly #maxFutureSkew: number
  #latestTime = 0
  #bytes: Buffer = Buffer.alloc(0)

  /** Exploded events, and keys that no UTF-8 can spell, are the parser's alone. */
  static suits(plan: Plan): boolean {
    return !plan.spec.event.explode && pathsOf(plan).every(({ path }) => path.every(key => key.isWellFormed()))
  }

  constructor(plan: Plan, strings: Interner, out: Outputs) {
    const { event, watermark } = plan.spec
    this.#out = out
    this.#fields = new FieldReader(plan, strings, out)
    this.#paths = new Paths(pathsOf(plan))
    this.#metIn = new Int32Array(this.#paths.size)
    this.#epochShift = event.time.format === 'epoch' ? EPOCH_SHIFT[event.time.unit] : null
    this.#rfc3339 = new Rfc3339(event.time.zone)
    this.#maxFutureSkew = watermark.maxFutureSkew
  }

  /** True: the record is good and the outputs are set. False: ask the parser; the outputs mean nothing. */
  scan(bytes: Buffer, start: number, end: number, recordTimestamp: number): boolean {
    let last = end - 1
    while (last > start && isSpace(bytes[last]!)) last--
    if (last <= start || bytes[last] !== CLOSE_BRACE) return false
    const p = skipSpace(bytes, start)
    if (bytes[p] !== OPEN_BRACE) return false
    this.#begin(bytes, recordTimestamp)
    if (this.#readObject(0, bytes, p + 1, last, 1) !== last + 1) return false
    return (this.#served === this.#paths.readers.length || this.#fillAbsent()) && this.#fields.keysFit()
  }

  /** As Decoder.text. */
  text(field: number): string | null {
    return this.#fields.text(field, this.#bytes)
  }

  #begin(bytes: Buffer, recordTimestamp: number): void {
    this.#bytes = bytes
    this.#latestTime = recordTimestamp + this.#maxFutureSkew
    this.#served = 0
    this.#turn = 0
    this.#record = (this.#record + 1) | 0
    if (this.#record > 0) return
    // After 2^31 records the count starts over: marks of long ago must not pass for this record's.
    this.#metIn.fill(0)
    this.#record = 1
  }

  /** `p`: behind the brace. */
  #readObject(node: number, bytes: Buffer, p: number, last: number, depth: number): number {
    if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
    if (bytes[p] === CLOSE_BRACE) return p < last || depth === 1 ? p + 1 : -1
    for (;;) {
      const turn = this.#turn < LAST_TURN ? this.#turn++ : LAST_TURN
      if (this.#memo.matches(turn, node, bytes, p, last)) p += this.#memo.lengths[turn]!
      else p = this.#learnKey(turn, node, bytes, p, last)
      if (p < 0) return -1
      const child = this.#memo.children[turn]!
      p = child === 0 ? skipValue(bytes, p, last, depth) : this.#readNode(child, bytes, p, last, depth)
      if (p < 0) return -1
      if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
      if (bytes[p] === CLOSE_BRACE) return p < last || depth === 1 ? p + 1 : -1
      if (bytes[p++] !== COMMA) return -1
      if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
    }
  }

  /** Reads a key and what stands before its value. */
  #learnKey(turn: number, node: number, bytes: Buffer, start: number, last: number): number {
    if (bytes[start] !== QUOTE) return -1
    const end = plainEnd(bytes, start + 1, last)
    if (end < 0) return -1
    const colon = skipSpace(bytes, end + 1)
    if (bytes[colon] !== COLON) return -1
    const p = skipSpace(bytes, colon + 1)
    this.#memo.learn(turn, node, this.#paths.child(node, bytes, start + 1, end), bytes, start, p)
    return p
  }

  /** The value of a key that a path names. */
  #readNode(node: number, bytes: Buffer, p: number, last: number, depth: number): number {
    if (this.#metIn[node] === this.#record) return -1
    this.#metIn[node] = this.#record
    const { firstReader, readers } = this.#paths
    const end = firstReader[node + 1]!
    let reader = firstReader[node]!
    if (reader === end) {
      if (bytes[p] !== OPEN_BRACE) return skipValue(bytes, p, last, depth)
      return depth < MAX_SCAN_DEPTH ? this.#readObject(node, bytes, p + 1, last, depth + 1) : -1
    }
    let behind = -1
    for (; reader < end; reader++) {
      behind = this.#readFor(readers[reader]!, bytes, p, last)
      if (behind < 0) return -1
      this.#served++
    }
    return behind
  }

  #readFor(reader: number, bytes: Buffer, p: number, last: number): number {
    if (reader === ID) return this.#readId(bytes, p, last)
    if (reader !== TIME) return this.#fields.read(reader, bytes, p, last)
    return this.#epochShift === null ? this.#readRfc3339(bytes, p, last) : this.#readEpoch(bytes, p, this.#epochShift)
  }

  #readId(bytes: Buffer, p: number, last: number): number {
    const isString = bytes[p] === QUOTE
    const start = isString ? p + 1 : p
    const end = isString ? utf8End(bytes, start, last) : integerEnd(bytes, p)
    if (end < 0) return -1
    hash128(bytes, start, end, this.#out.id)
    return isString ? end + 1 : end
  }

  #readRfc3339(bytes: Buffer, p: number, last: number): number {
    if (bytes[p] !== QUOTE) return -1
    const end = plainEnd(bytes, p + 1, last)
    if (end < 0) return -1
    return this.#setTime(this.#rfc3339.parse(bytes, p + 1, end)) ? end + 1 : -1
  }

  #readEpoch(bytes: Buffer, p: number, shift: number): number {
    const end = this.#number.readFloored(bytes, p, shift)
    return end > 0 && this.#setTime(withinYears(this.#number.value)) ? end : -1
  }

  /** False for NaN, too. */
  #setTime(time: number): boolean {
    this.#out.time = time
    return time <= this.#latestTime
  }

  /** Defaults and nulls for the fields whose keys were not there. */
  #fillAbsent(): boolean {
    const { size, firstReader, readers } = this.#paths
    for (let node = 1; node < size; node++) {
      if (this.#metIn[node] === this.#record) continue
      for (let i = firstReader[node]!; i < firstReader[node + 1]!; i++) {
        const reader = readers[i]!
        if (reader === ID || reader === TIME || !this.#fields.setAbsent(reader)) return false
      }
    }
    return true
  }
}

function integerEnd(bytes: Buffer, p: number): number {
  const end = wholeEnd(bytes, bytes[p] === MINUS ? p + 1 : p)
  return end > 0 && bytes[end] !== DOT && !isExponent(bytes[end]!) ? end : -1
}

function pathsOf({ fields, spec }: Plan): { path: string[]; reader: number }[] {
  const { id, time } = spec.event
  return [
    ...(spec.deduplication ? [{ path: id!.split('.'), reader: ID }] : []),
    { path: time.path.split('.'), reader: TIME },
    ...fields.map((field, index) => ({ path: field.path, reader: index })),
  ]
}
