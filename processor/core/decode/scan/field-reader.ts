/** Reads a plain value of one field for the scanner. A returned position of −1 leaves the record to the parser. */

import type { CompiledField } from '#pipeline/compiled-spec.ts'
import { MAX_KEY_BYTES } from '#pipeline/limits.ts'
import type { Amount } from '../../exact.ts'
import type { Interner } from '../interner.ts'
import { canonicalText } from '../number.ts'
import type { Outputs } from '../outputs.ts'
import { absentValue } from '../values.ts'
import { PlainNumber } from './plain-number.ts'
import { plainEnd, utf8End } from './plain-string.ts'
import { skipFalse, skipNull, skipTrue } from './skip.ts'

const SPACE = 0x20
const QUOTE = 0x22
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74

const STRING = 0
const NUMBER = 1
const DECIMAL = 2
const BOOLEAN = 3
const TYPES = { string: STRING, number: NUMBER, decimal: DECIMAL, boolean: BOOLEAN } as const

/** Start position of an absent value. */
const ABSENT = -1

/** Value of an absent field; `bytes`: its text, for interning. */
type Absent = { text: string | null; amount: Amount; bytes: Buffer }

export class FieldReader {
  readonly #index: number
  readonly #type: number
  readonly #scale: number
  readonly #rounds: boolean
  readonly #blankAsNull: boolean
  readonly #isKey: boolean
  /** Null: the field is required. */
  readonly #absent: Absent | null
  readonly #strings: Interner
  readonly #out: Outputs
  readonly #number = new PlainNumber()
  /** Position of a string or boolean in the record. */
  #start = 0
  #end = 0

  constructor(field: CompiledField, index: number, strings: Interner, out: Outputs) {
    this.#index = index
    this.#type = TYPES[field.type]
    this.#scale = field.scale
    // The text of a key is a range of the record's bytes, which a rounded value is not.
    this.#rounds = field.rounds && !field.isKey
    this.#blankAsNull = field.blankAsNull
    this.#isKey = field.isKey
    this.#absent = absentOf(field)
    this.#strings = strings
    this.#out = out
  }

  /** Reads the value at p. Returns the position after it, or −1. */
  read(bytes: Buffer, p: number, last: number): number {
    const byte = bytes[p]
    if (byte === LETTER_N) return this.setAbsent() ? skipNull(bytes, p, last) : -1
    if (this.#blankAsNull && byte === QUOTE && startsBlank(bytes[p + 1]!)) return this.#readBlank(bytes, p + 1)
    this.#start = p
    if (this.#type === STRING) return byte === QUOTE ? this.#readString(bytes, p + 1, last) : -1
    if (this.#type === BOOLEAN) return this.#readBoolean(bytes, p, last)
    if (this.#type === NUMBER || byte !== QUOTE) return this.#readNumber(bytes, p)
    const end = this.#readNumber(bytes, p + 1)
    return end > 0 && bytes[end] === QUOTE ? end + 1 : -1
  }

  /** `p`: position after the opening quote. Accepts an empty string; the parser decides about others that begin blank. */
  #readBlank(bytes: Buffer, p: number): number {
    return bytes[p] === QUOTE && this.setAbsent() ? p + 1 : -1
  }

  /** Returns false when the field is required. */
  setAbsent(): boolean {
    const absent = this.#absent
    if (absent === null) return false
    this.#start = ABSENT
    this.#out.amounts[this.#index] = absent.amount
    if (this.#isKey) this.#setKey(absent.bytes, 0, absent.bytes.length)
    return true
  }

  /** As Decoder.text; `bytes`: the buffer that was read. */
  text(bytes: Buffer): string | null {
    if (this.#start === ABSENT) return this.#absent!.text
    if (this.#type === STRING || this.#type === BOOLEAN) return bytes.toString('utf8', this.#start, this.#end)
    return canonicalText(this.#out.amounts[this.#index]!, this.#scale)
  }

  /** `start`: position after the opening quote. */
  #readString(bytes: Buffer, start: number, last: number): number {
    const end = this.#isKey ? plainEnd(bytes, start, last) : utf8End(bytes, start, last)
    if (end < 0 || (this.#isKey && !this.#setKey(bytes, start, end))) return -1
    this.#start = start
    this.#end = end
    return end + 1
  }

  #readNumber(bytes: Buffer, p: number): number {
    const end = this.#number.read(bytes, p, this.#scale, this.#rounds)
    if (end < 0) return -1
    this.#out.amounts[this.#index] = this.#number.value
    if (this.#isKey) this.#setKey(bytes, p, this.#number.textEnd)
    return end
  }

  #readBoolean(bytes: Buffer, p: number, last: number): number {
    const byte = bytes[p]
    const end = byte === LETTER_T ? skipTrue(bytes, p, last) : byte === LETTER_F ? skipFalse(bytes, p, last) : -1
    if (end < 0) return -1
    this.#end = end
    if (this.#isKey) this.#setKey(bytes, p, end)
    return end
  }

  /** Returns false when the key is too long or not UTF-8. */
  #setKey(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_KEY_BYTES) return false
    const code = this.#strings.intern(bytes, start, end)
    this.#out.codes[this.#index] = code
    return code >= 0
  }
}

/** Returns whether a string whose first byte after the quote is this may be blank. Escapes are left to the parser anyway. */
function startsBlank(byte: number): boolean {
  return byte === QUOTE || byte === SPACE
}

function absentOf(field: CompiledField): Absent | null {
  const value = absentValue(field)
  return value === 'missing_field' ? null : { ...value, bytes: Buffer.from(value.text ?? '') }
}
