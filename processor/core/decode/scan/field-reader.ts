/** Reads the values of fields for the scanner: good, plain ones. A position of −1 leaves the record to the parser. */
import type { FieldPlan, Plan } from '#pipeline/plan.ts'
import type { Amount } from '#processor/ports.ts'
import type { Interner } from '../interner.ts'
import { canonicalText } from '../number.ts'
import type { Outputs } from '../outputs.ts'
import { absentValue, MAX_KEY_BYTES } from '../values.ts'
import { PlainNumber } from './plain-number.ts'
import { plainEnd, utf8End } from './plain-string.ts'
import { skipFalse, skipNull, skipTrue } from './skip.ts'

const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74
const QUOTE = 0x22

const STRING = 0
const NUMBER = 1
const DECIMAL = 2
const BOOLEAN = 3
const TYPES = { string: STRING, number: NUMBER, decimal: DECIMAL, boolean: BOOLEAN } as const

/** In place of where a value starts: there is none. */
const ABSENT = -1

/** What stands for an absent value; `bytes`: its text, for interning. */
type Absent = { text: string | null; amount: Amount; bytes: Buffer }

export class FieldReader {
  readonly #strings: Interner
  readonly #out: Outputs
  readonly #number = new PlainNumber()
  readonly #keysOfAggregations: Int32Array[]
  // By field:
  readonly #types: Uint8Array
  readonly #scales: Uint8Array
  readonly #isKey: Uint8Array
  /** Null: the field is required. */
  readonly #absent: (Absent | null)[]
  /** Where strings and booleans stand in the record. */
  readonly #starts: Int32Array
  readonly #ends: Int32Array

  constructor({ fields, aggregations }: Plan, strings: Interner, out: Outputs) {
    this.#strings = strings
    this.#out = out
    this.#keysOfAggregations = aggregations.map(aggregation => Int32Array.from(aggregation.keys))
    this.#types = Uint8Array.from(fields, field => TYPES[field.type])
    this.#scales = Uint8Array.from(fields, field => field.scale)
    this.#isKey = Uint8Array.from(fields, field => (field.isKey ? 1 : 0))
    this.#absent = fields.map(absentOf)
    this.#starts = new Int32Array(fields.length)
    this.#ends = new Int32Array(fields.length)
  }

  /** The value at p. Answers the position behind it. */
  read(field: number, bytes: Buffer, p: number, last: number): number {
    if (bytes[p] === LETTER_N) return this.setAbsent(field) ? skipNull(bytes, p, last) : -1
    this.#starts[field] = p
    const type = this.#types[field]
    if (type === STRING) return this.#readString(field, bytes, p, last)
    if (type === BOOLEAN) return this.#readBoolean(field, bytes, p, last)
    if (type === NUMBER || bytes[p] !== QUOTE) return this.#readNumber(field, bytes, p)
    const end = this.#readNumber(field, bytes, p + 1)
    return end > 0 && bytes[end] === QUOTE ? end + 1 : -1
  }

  /** False: the field is required. */
  setAbsent(field: number): boolean {
    const absent = this.#absent[field]!
    if (absent === null) return false
    this.#starts[field] = ABSENT
    this.#out.amounts[field] = absent.amount
    if (this.#isKey[field] === 1) this.#setKey(field, absent.bytes, 0, absent.bytes.length)
    return true
  }

  /** Are the keys of each aggregation short enough together? */
  keysFit(): boolean {
    for (let a = 0; a < this.#keysOfAggregations.length; a++) {
      const keys = this.#keysOfAggregations[a]!
      let size = 0
      for (let k = 0; k < keys.length; k++) size += this.#strings.byteLength(this.#out.codes[keys[k]!]!)
      if (size > MAX_KEY_BYTES) return false
    }
    return true
  }

  /** As Decoder.text; `bytes`: those that were read. */
  text(field: number, bytes: Buffer): string | null {
    const start = this.#starts[field]!
    if (start === ABSENT) return this.#absent[field]!.text
    const type = this.#types[field]
    if (type === NUMBER || type === DECIMAL) return canonicalText(this.#out.amounts[field]!, this.#scales[field]!)
    return bytes.toString('utf8', start, this.#ends[field])
  }

  #readString(field: number, bytes: Buffer, p: number, last: number): number {
    if (bytes[p] !== QUOTE) return -1
    const start = p + 1
    const isKey = this.#isKey[field] === 1
    const end = isKey ? plainEnd(bytes, start, last) : utf8End(bytes, start, last)
    if (end < 0 || (isKey && !this.#setKey(field, bytes, start, end))) return -1
    this.#starts[field] = start
    this.#ends[field] = end
    return end + 1
  }

  #readNumber(field: number, bytes: Buffer, p: number): number {
    const end = this.#number.read(bytes, p, this.#scales[field]!)
    if (end < 0) return -1
    this.#out.amounts[field] = this.#number.value
    if (this.#isKey[field] === 1) this.#setKey(field, bytes, p, this.#number.textEnd)
    return end
  }

  #readBoolean(field: number, bytes: Buffer, p: number, last: number): number {
    const byte = bytes[p]
    const end = byte === LETTER_T ? skipTrue(bytes, p, last) : byte === LETTER_F ? skipFalse(bytes, p, last) : -1
    if (end < 0) return -1
    this.#ends[field] = end
    if (this.#isKey[field] === 1) this.#setKey(field, bytes, p, end)
    return end
  }

  /** False: too long, or not UTF-8. */
  #setKey(field: number, bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_KEY_BYTES) return false
    const code = this.#strings.intern(bytes, start, end)
    this.#out.codes[field] = code
    return code >= 0
  }
}

function absentOf(field: FieldPlan): Absent | null {
  const value = absentValue(field)
  return value === 'missing_field' ? null : { ...value, bytes: Buffer.from(value.text ?? '') }
}
