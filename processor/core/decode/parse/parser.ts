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
import { exceededLimit, isObject, type Json, type JsonObject, NumberText, parseJson, textOf, valueAt } from './json.ts'

/** Why a record is dead, and the spec's name or path of the value at fault. */
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
  }

  /** As Decoder.decode. */
  parse(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    if (start === end) return dead('empty_value')
    const exceeded = exceededLimit(bytes, start, end)
    if (exceeded) return dead(exceeded)
    const event = parseJson(textOf(bytes, start, end))
    if (event === undefined) return dead('not_json')
    if (!isObject(event)) return dead('not_an_object')
    const fault =
      this.#readId(event) ??
      this.#readTime(event, recordTimestamp) ??
      this.#readOwnFields(event) ??
      this.#readLines(event) ??
      this.#checkKeys()
    if (fault === null) this.#publish(this.#ownSlots)
    return fault
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
    if (id === null) return dead('missing_id', path)
    const text = idText(id, shape.integralIds === true)
    if (text === null) return dead('wrong_type', path)
    if (!isStorable(text)) return dead('bad_string', path)
    const bytes = Buffer.from(text)
    hash128(viewOf(bytes), 0, bytes.length, this.#out.id)
    return null
  }

  #readTime(event: JsonObject, recordTimestamp: number): DecodeFault | null {
    const { event: shape, watermark } = this.#compiled.spec
    const { path } = shape.time
    if (path === undefined) return this.#takeRecordTimestamp(recordTimestamp)
    const value = valueAt(event, path)
    if (value === null) return dead('missing_field', path)
    const time = this.#timeOf(value)
    if (time === null) return dead('wrong_type', path)
    if (!(time >= this.#earliest)) return dead('bad_time', path)
    if (time > recordTimestamp + watermark.maxFutureSkew) return dead('future_timestamp', path)
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
    if (!isTimestamp(timestamp) || timestamp < this.#earliest) return dead('bad_time')
    this.#out.time = timestamp
    return null
  }

  #readOwnFields(event: JsonObject): DecodeFault | null {
    for (const slot of this.#ownSlots) {
      const value = readSlot(slot, event)
      if (typeof value === 'string') return dead(value, slot.field.name)
      this.#values[slot.index] = value
    }
    return null
  }

  #readLines(event: JsonObject): DecodeFault | null {
    const { explode } = this.#compiled.spec.event
    if (!explode) return null
    const lines = valueAt(event, explode.path)
    if (lines === null) return dead('missing_field', explode.path)
    if (!Array.isArray(lines)) return dead('wrong_type', explode.path)
    if (lines.length === 0) return dead('empty_lines', explode.path)
    if (lines.length > this.#maxLines) return dead('too_many_lines', explode.path)
    this.#lines = []
    this.#out.lines = lines.length
    for (const line of lines) {
      if (!isObject(line)) return dead('wrong_type', explode.path)
      const row: Value[] = []
      for (const slot of this.#lineSlots) {
        const value = readSlot(slot, line)
        if (typeof value === 'string') return dead(value, slot.field.name)
        row.push(value)
      }
      this.#lines.push(row)
    }
    return null
  }

  #checkKeys(): DecodeFault | null {
    for (let line = 0; line < this.#out.lines; line++) {
      this.#takeLine(line)
      for (const { keys } of this.#compiled.aggregations) {
        const sizes = keys.map(key => Buffer.byteLength(this.#values[key]!.text!))
        if (sizes.reduce((sum, size) => sum + size, 0) <= MAX_KEY_BYTES) continue
        const longest = keys[sizes.indexOf(Math.max(...sizes))]!
        return dead('key_too_long', this.#compiled.fields[longest]!.name)
      }
    }
    return null
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

function dead(reason: DeadReason, field: string | null = null): DecodeFault {
  return { reason, field }
}
