/** The slow path: any record, by JSON.parse. Only it decides why a record is dead; the checks run in a fixed order. */

import type { CompiledField, CompiledSpec } from '#pipeline/compiled-spec.ts'
import { MAX_KEY_BYTES } from '#pipeline/limits.ts'
import { readsNumbers, readsTexts, type TimeText, timeTextReader } from '#pipeline/time-forms.ts'
import type { DeadReason } from '../../dead-reasons.ts'
import { hash128, viewOf } from '../hash.ts'
import type { Interner } from '../interner.ts'
import { parseDecimal } from '../number.ts'
import type { Outputs } from '../outputs.ts'
import { earliestTime, isTimestamp, parseEpoch, Rfc3339 } from '../time.ts'
import { absentValue, fieldValue, isAbsent, isStorable, type Value } from '../values.ts'
import { type Culprit, describeFault } from './fault-detail.ts'
import { exceededLimit, isObject, type Json, type JsonObject, NumberText, parseJson, textOf, valueAt } from './json.ts'

/** Why a record is dead, and the path of the value at fault. In specs of releases up to 0.3.0, a field has its name instead. */
export type DecodeFault = { reason: DeadReason; field: string | null }

const INTEGER = /^-?\d+$/

/** A field with its index in the compiled spec. */
type Slot = { index: number; field: CompiledField; absent: Value | 'missing_field' }

export class Parser {
  readonly #compiled: CompiledSpec
  readonly #strings: Interner
  readonly #out: Outputs
  readonly #ownSlots: Slot[]
  readonly #lineSlots: Slot[]
  readonly #rfc3339: Rfc3339
  readonly #earliest: number
  readonly #readsNumbers: boolean
  /** Null: only numbers are allowed. */
  readonly #timeText: ((text: string) => TimeText | null) | null
  /** By field index; line fields have the values of the selected line. */
  readonly #values: Value[]
  /** One row per line, in the order of #lineSlots. */
  #lines: Value[][] = []
  readonly #maxLines: number
  readonly #namesFields: boolean
  /** What the last dead record's fault was found in. */
  #culprit: Culprit = {}

  constructor(compiled: CompiledSpec, strings: Interner, out: Outputs) {
    this.#compiled = compiled
    this.#strings = strings
    this.#out = out
    const slots = compiled.fields.map((field, index) => ({ index, field, absent: absentValue(field) }))
    this.#ownSlots = slots.filter(slot => !slot.field.line)
    this.#lineSlots = slots.filter(slot => slot.field.line)
    const { time } = compiled.spec.event
    this.#rfc3339 = new Rfc3339(time.zone)
    this.#earliest = earliestTime(time)
    this.#readsNumbers = readsNumbers(time)
    this.#timeText = readsTexts(time) ? timeTextReader(time) : null
    this.#values = compiled.fields.map(() => ({ text: null, amount: 0 }))
    // Specs that releases up to 0.3.0 stored have none.
    const { maxLines = Number.POSITIVE_INFINITY } = compiled.spec.event.explode ?? {}
    this.#maxLines = maxLines
    this.#namesFields = time.notBefore === undefined
  }

  /** As Decoder.decode. */
  parse(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    if (start === end) return this.#dead('empty_value')
    const exceeded = exceededLimit(bytes, start, end)
    if (exceeded) return this.#dead(exceeded)
    const event = parseJson(textOf(bytes, start, end))
    if (event === undefined) return this.#dead('not_json')
    if (!isObject(event)) return this.#dead('not_an_object', null, { value: event })
    const fault =
      this.#readId(event) ??
      this.#readTime(event, recordTimestamp) ??
      this.#readOwnFields(event) ??
      this.#readLines(event) ??
      this.#checkKeys()
    if (fault === null) this.#publish(this.#ownSlots)
    return fault
  }

  /** Describes the fault that `parse` returned last; null if only the bytes explain it. */
  describe({ reason }: DecodeFault): string | null {
    return describeFault(reason, this.#culprit, this.#compiled.spec)
  }

  selectLine(line: number): void {
    this.#takeLine(line)
    this.#publish(this.#lineSlots)
  }

  text(field: number): string | null {
    return this.#values[field]!.text
  }

  #readId(event: JsonObject): DecodeFault | null {
    const { deduplication, event: shape } = this.#compiled.spec
    if (!deduplication) return null
    const path = shape.id!
    const id = valueAt(event, path)
    if (id === null) return this.#dead('missing_id', path, { holder: event, path: path.split('.') })
    const text = idText(id, shape.integralIds === true)
    if (text === null) return this.#dead('wrong_type', path, { value: id, part: 'id' })
    if (!isStorable(text)) return this.#dead('bad_string', path)
    const bytes = Buffer.from(text)
    hash128(viewOf(bytes), 0, bytes.length, this.#out.id)
    return null
  }

  #readTime(event: JsonObject, recordTimestamp: number): DecodeFault | null {
    const { event: shape, watermark } = this.#compiled.spec
    const { path } = shape.time
    if (path === undefined) return this.#takeRecordTimestamp(recordTimestamp)
    const value = valueAt(event, path)
    if (value === null) return this.#dead('missing_field', path, { holder: event, path: path.split('.'), part: 'time' })
    const time = this.#timeOf(value)
    if (time === null) return this.#dead('wrong_type', path, { value, part: 'time' })
    if (!(time >= this.#earliest)) return this.#dead('bad_time', path, { value, time })
    if (time > recordTimestamp + watermark.maxFutureSkew)
      return this.#dead('future_timestamp', path, { time, recordTimestamp })
    this.#out.time = time
    return null
  }

  /** Returns NaN for an invalid time, null for a type that the format does not allow. */
  #timeOf(value: Json): number | null {
    const { unit } = this.#compiled.spec.event.time
    if (value instanceof NumberText) return this.#readsNumbers ? parseEpoch(value.text, unit) : null
    if (typeof value !== 'string' || this.#timeText === null) return null
    const text = this.#timeText(value)
    if (text === null) return Number.NaN
    if ('epoch' in text) return parseEpoch(text.epoch, unit)
    const bytes = Buffer.from(text.rfc3339)
    return this.#rfc3339.parse(bytes, 0, bytes.length)
  }

  #takeRecordTimestamp(timestamp: number): DecodeFault | null {
    if (!isTimestamp(timestamp)) return this.#dead('bad_time')
    if (timestamp < this.#earliest) return this.#dead('bad_time', null, { time: timestamp })
    this.#out.time = timestamp
    return null
  }

  #readOwnFields(event: JsonObject): DecodeFault | null {
    for (const slot of this.#ownSlots) {
      const value = readSlot(slot, event)
      if (typeof value === 'string') return this.#deadField(value, slot, event)
      this.#values[slot.index] = value
    }
    return null
  }

  #readLines(event: JsonObject): DecodeFault | null {
    const { explode } = this.#compiled.spec.event
    if (!explode) return null
    const lines = valueAt(event, explode.path)
    const { path } = explode
    if (lines === null)
      return this.#dead('missing_field', path, { holder: event, path: path.split('.'), part: 'lines' })
    if (!Array.isArray(lines)) return this.#dead('wrong_type', path, { value: lines, part: 'lines' })
    if (lines.length === 0) return this.#dead('empty_lines', path)
    if (lines.length > this.#maxLines) return this.#dead('too_many_lines', path, { value: lines })
    this.#lines = []
    this.#out.lines = lines.length
    for (const [i, line] of lines.entries()) {
      const fault = this.#readLine(line, i)
      if (fault !== null) return fault
    }
    return null
  }

  #readLine(line: Json, i: number): DecodeFault | null {
    if (!isObject(line)) return this.#dead('wrong_type', this.#linePath(i), { value: line, part: 'line' })
    const row: Value[] = []
    for (const slot of this.#lineSlots) {
      const value = readSlot(slot, line)
      if (typeof value === 'string') return this.#deadField(value, slot, line, i)
      row.push(value)
    }
    this.#lines.push(row)
    return null
  }

  #checkKeys(): DecodeFault | null {
    for (let line = 0; line < this.#out.lines; line++) {
      this.#takeLine(line)
      for (const { keys } of this.#compiled.aggregations) {
        const sizes = keys.map(key => Buffer.byteLength(this.#values[key]!.text!))
        const bytes = sizes.reduce((sum, size) => sum + size, 0)
        if (bytes <= MAX_KEY_BYTES) continue
        const longest = keys[sizes.indexOf(Math.max(...sizes))]!
        return this.#dead('key_too_long', this.#pathOf(this.#compiled.fields[longest]!, line), { bytes })
      }
    }
    return null
  }

  #dead(reason: DeadReason, field: string | null = null, culprit: Culprit = {}): DecodeFault {
    this.#culprit = culprit
    return { reason, field }
  }

  /** `holder`: the event, or its line with that index. */
  #deadField(reason: DeadReason, { field }: Slot, holder: JsonObject, line = 0): DecodeFault {
    const { path } = field
    return this.#dead(reason, this.#pathOf(field, line), { value: valueAt(holder, path), field, holder, path })
  }

  #pathOf(field: CompiledField, line: number): string {
    if (this.#namesFields) return field.name
    const path = field.path.join('.')
    return field.line ? `${this.#linePath(line)}.${path}` : path
  }

  #linePath(line: number): string {
    const { path } = this.#compiled.spec.event.explode!
    return this.#namesFields ? path : `${path}[${line}]`
  }

  #takeLine(line: number): void {
    this.#lineSlots.forEach(({ index }, i) => {
      this.#values[index] = this.#lines[line]![i]!
    })
  }

  /** Interns only after the record is known to be good: the keys of a dead one may have any length. */
  #publish(slots: Slot[]): void {
    for (const { index, field } of slots) {
      const { text, amount } = this.#values[index]!
      this.#out.amounts[index] = amount
      if (field.isKey) this.#out.codes[index] = this.#strings.internText(text!)
    }
  }
}

function readSlot({ field, absent }: Slot, holder: JsonObject): Value | DeadReason {
  const json = valueAt(holder, field.path)
  return isAbsent(field, json) ? absent : fieldValue(field, json)
}

/**
 * Returns the text of a string or integer, so that "5" and 5 are one id; null for any other value. `integral`: 5.0 is
 * that id, too.
 */
function idText(id: Json, integral: boolean): string | null {
  if (typeof id === 'string') return id
  if (!(id instanceof NumberText)) return null
  if (INTEGER.test(id.text)) return id.text
  const whole = integral ? parseDecimal(id.text, 0) : 'bad_number'
  return typeof whole === 'string' ? null : String(whole)
}
