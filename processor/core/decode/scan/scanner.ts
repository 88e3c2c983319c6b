/**
 * The fast path: one pass over the bytes of an ordinary event, without allocation. It accepts good records only and
 * leaves anything unusual to the parser: escapes in values that are read, duplicates of their keys, exponents, many
 * digits, anything dead. For accepted records it sets what the parser would set. Positions are as in skip.ts.
 */

import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { MAX_JSON_VALUES, MAX_KEY_BYTES } from '#pipeline/limits.ts'
import { readsNumbers, readsRfc3339First, readsTexts } from '#pipeline/time-forms.ts'
import { hash128, viewOf } from '../hash.ts'
import type { Interner } from '../interner.ts'
import type { Outputs } from '../outputs.ts'
import { EPOCH_SHIFT, earliestTime, isTimestamp, Rfc3339, withinYears } from '../time.ts'
import { FieldReader } from './field-reader.ts'
import { KeyMemo } from './key-memo.ts'
import { Place } from './place.ts'
import { isExponent, PlainNumber, wholeEnd } from './plain-number.ts'
import { plainEnd, utf8End } from './plain-string.ts'
import { isSpace, MAX_SCAN_DEPTH, skipSpace, skipValue } from './skip.ts'

// Each file of the scanner has its own constants: they fold into its code, while imported ones are loaded at each use.
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Keys of an event that are remembered; later keys share the last memo. */
const MEMOS = 64

export class Scanner {
  readonly #strings: Interner
  readonly #out: Outputs
  readonly #event = new Place()
  /** Null: the record's timestamp is the time. */
  readonly #time: Place | null
  readonly #id: Place | null
  /** By field of the compiled spec. */
  readonly #places: Place[]
  readonly #fields: FieldReader[]
  readonly #keysOfAggregations: number[][]
  /** Null: the time is no number. */
  readonly #epochShift: number | null
  readonly #readsRfc3339: boolean
  readonly #rfc3339: Rfc3339
  readonly #number = new PlainNumber()
  readonly #maxFutureSkew: number
  readonly #earliest: number
  readonly #memos = Array.from({ length: MEMOS }, () => new KeyMemo())

  // State of the current record:
  #record = 0
  #bytes: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #keysMet = 0
  #latestTime = 0

  /** Returns false for exploded events, and for keys that UTF-8 cannot encode: only the parser reads these. */
  static suits({ fields, spec }: CompiledSpec): boolean {
    const { id = '', time, explode } = spec.event
    return !explode && [id, time.path ?? '', ...fields.flatMap(field => field.path)].every(path => path.isWellFormed())
  }

  constructor(compiled: CompiledSpec, strings: Interner, out: Outputs) {
    const { event, watermark, deduplication } = compiled.spec
    this.#strings = strings
    this.#out = out
    const { time } = event
    this.#time = time.path === undefined ? null : this.#event.at(time.path.split('.'))
    if (this.#time !== null) this.#time.isTime = true
    this.#id = deduplication ? this.#event.at(event.id!.split('.')) : null
    if (this.#id !== null) this.#id.isId = true
    this.#places = compiled.fields.map(field => this.#event.at(field.path))
    this.#fields = compiled.fields.map((field, i) => new FieldReader(field, i, strings, out))
    this.#places.forEach((place, i) => {
      place.fields.push(this.#fields[i]!)
    })
    this.#keysOfAggregations = compiled.aggregations.map(aggregation => aggregation.keys)
    this.#epochShift = readsNumbers(time) ? EPOCH_SHIFT[time.unit] : null
    this.#readsRfc3339 = readsTexts(time) && readsRfc3339First(time)
    this.#rfc3339 = new Rfc3339(time.zone)
    this.#maxFutureSkew = watermark.maxFutureSkew
    this.#earliest = earliestTime(time)
  }

  /** Returns true when the record is good and the outputs are set. False: ask the parser; the outputs are undefined. */
  scan(bytes: Buffer, start: number, end: number, recordTimestamp: number): boolean {
    if (end - start > MAX_JSON_VALUES) return false // it may have too many values
    let last = end - 1
    while (last > start && isSpace(bytes[last]!)) last--
    if (last <= start || bytes[last] !== CLOSE_BRACE) return false
    const p = skipSpace(bytes, start)
    if (bytes[p] !== OPEN_BRACE) return false
    this.#begin(bytes, recordTimestamp)
    if (this.#time === null && !(isTimestamp(recordTimestamp) && this.#setTime(recordTimestamp))) return false
    return this.#readObject(this.#event, bytes, p + 1, last, 1) === last + 1 && this.#isComplete() && this.#keysFit()
  }

  /** As Decoder.text. */
  text(field: number): string | null {
    return this.#fields[field]!.text(this.#bytes)
  }

  #begin(bytes: Buffer, recordTimestamp: number): void {
    if (bytes !== this.#bytes) this.#view = viewOf(bytes)
    this.#bytes = bytes
    this.#keysMet = 0
    this.#latestTime = recordTimestamp + this.#maxFutureSkew
    this.#out.time = recordTimestamp
    this.#record++
  }

  /** `p`: position after the brace. */
  #readObject(place: Place, bytes: Buffer, p: number, last: number, depth: number): number {
    if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
    if (bytes[p] === CLOSE_BRACE) return p < last || depth === 1 ? p + 1 : -1
    for (;;) {
      const memo = this.#memos[this.#keysMet]!
      if (this.#keysMet < MEMOS - 1) this.#keysMet++
      if (!memo.matches(place, this.#view, p, last) && !this.#learnKey(memo, place, bytes, p, last)) return -1
      const child = memo.child
      p += memo.length
      p = child === null ? skipValue(bytes, p, last, depth) : this.#readPlace(child, bytes, p, last, depth)
      if (p < 0) return -1
      if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
      if (bytes[p] === CLOSE_BRACE) return p < last || depth === 1 ? p + 1 : -1
      if (bytes[p++] !== COMMA) return -1
      if (bytes[p]! <= SPACE) p = skipSpace(bytes, p)
    }
  }

  /** Reads a key and everything up to its value. Returns false when the key is not plain. */
  #learnKey(memo: KeyMemo, parent: Place, bytes: Buffer, start: number, last: number): boolean {
    if (bytes[start] !== QUOTE) return false
    const end = plainEnd(bytes, start + 1, last)
    if (end < 0) return false
    const colon = skipSpace(bytes, end + 1)
    if (bytes[colon] !== COLON) return false
    memo.learn(parent, parent.child(bytes, start + 1, end), bytes, start, skipSpace(bytes, colon + 1))
    return true
  }

  /** Reads the value of a key that is on some path. */
  #readPlace(place: Place, bytes: Buffer, p: number, last: number, depth: number): number {
    if (place.metIn === this.#record) return -1
    place.metIn = this.#record
    let end = -1
    for (const field of place.fields) {
      end = field.read(bytes, p, last)
      if (end < 0) return -1
    }
    if (place.isTime) {
      end = bytes[p] === QUOTE ? this.#readRfc3339(bytes, p, last) : this.#readEpoch(bytes, p)
      if (end < 0) return -1
    }
    if (place.isId) return this.#readId(bytes, p, last)
    if (end > 0) return end
    // The value itself is not read, but something inside it is.
    if (bytes[p] !== OPEN_BRACE) return skipValue(bytes, p, last, depth)
    return depth < MAX_SCAN_DEPTH ? this.#readObject(place, bytes, p + 1, last, depth + 1) : -1
  }

  #readId(bytes: Buffer, p: number, last: number): number {
    const isString = bytes[p] === QUOTE
    const start = isString ? p + 1 : p
    const end = isString ? utf8End(bytes, start, last) : integerEnd(bytes, p)
    if (end < 0) return -1
    hash128(this.#view, start, end, this.#out.id)
    return isString ? end + 1 : end
  }

  #readRfc3339(bytes: Buffer, p: number, last: number): number {
    const end = this.#readsRfc3339 ? plainEnd(bytes, p + 1, last) : -1
    if (end < 0) return -1
    return this.#setTime(this.#rfc3339.parse(bytes, p + 1, end)) ? end + 1 : -1
  }

  #readEpoch(bytes: Buffer, p: number): number {
    const end = this.#epochShift === null ? -1 : this.#number.readFloored(bytes, p, this.#epochShift)
    return end > 0 && this.#setTime(withinYears(this.#number.value)) ? end : -1
  }

  /** Returns false when the time is too early, too far ahead, or NaN. */
  #setTime(time: number): boolean {
    this.#out.time = time
    return time >= this.#earliest && time <= this.#latestTime
  }

  /** Returns whether all required values were present. Sets absent fields to their default or null. */
  #isComplete(): boolean {
    const record = this.#record
    if ((this.#time !== null && this.#time.metIn !== record) || (this.#id !== null && this.#id.metIn !== record))
      return false
    for (let i = 0; i < this.#places.length; i++)
      if (this.#places[i]!.metIn !== record && !this.#fields[i]!.setAbsent()) return false
    return true
  }

  /** Returns whether the keys of each aggregation are short enough together. */
  #keysFit(): boolean {
    const codes = this.#out.codes
    for (const keys of this.#keysOfAggregations) {
      let size = 0
      for (const key of keys) size += this.#strings.byteLength(codes[key]!)
      if (size > MAX_KEY_BYTES) return false
    }
    return true
  }
}

function integerEnd(bytes: Buffer, p: number): number {
  const end = wholeEnd(bytes, bytes[p] === MINUS ? p + 1 : p)
  return end > 0 && bytes[end] !== DOT && !isExponent(bytes[end]!) ? end : -1
}
