/** Converts JSON values to field values, by the field's type (contract, section 7). */
import type { CompiledField } from '#pipeline/compiled-spec.ts'
import type { DeadReason } from '../dead-reasons.ts'
import type { Amount } from '../exact.ts'
import { canonicalText, parseDecimal } from './number.ts'
import { type Json, NumberText } from './parse/json.ts'

/** Text in canonical form, null when an optional field is absent; the scaled amount of numbers, else 0. */
export type Value = { text: string | null; amount: Amount }

const NULL: Value = { text: null, amount: 0 }
const TRUE: Value = { text: 'true', amount: 0 }
const FALSE: Value = { text: 'false', amount: 0 }

/** Characters of white space, as in JSON. */
const BLANK = /^[ \t\n\r]*$/

/** Returns whether the value counts as absent. */
export function isAbsent(field: CompiledField, json: Json): boolean {
  return json === null || (field.blankAsNull && typeof json === 'string' && BLANK.test(json))
}

/** Returns the value of a present field, or why it makes the record dead. */
export function fieldValue(field: CompiledField, json: Json): Value | DeadReason {
  switch (field.type) {
    case 'string':
      if (typeof json !== 'string') return 'wrong_type'
      return isStorable(json) ? { text: json, amount: 0 } : 'bad_string'
    case 'boolean':
      if (typeof json !== 'boolean') return 'wrong_type'
      return json ? TRUE : FALSE
    case 'number':
      return json instanceof NumberText ? numberValue(json.text, field) : 'wrong_type'
    case 'decimal':
      if (json instanceof NumberText) return numberValue(json.text, field)
      return typeof json === 'string' ? numberValue(json, field) : 'wrong_type'
  }
}

/** Returns the value of an absent or null field: its default, or null if it is optional; else 'missing_field'. */
export function absentValue(field: CompiledField): Value | 'missing_field' {
  const text = field.default
  if (text === undefined) return field.optional ? NULL : 'missing_field'
  if (field.type === 'string' || field.type === 'boolean') return { text, amount: 0 }
  // A default may have leading zeros, which JSON numbers may not.
  const value = numberValue(text.replace(/^(-?)0+(?=\d)/, '$1'), field)
  if (typeof value === 'string') throw new Error(`default of ${field.name} is not a number: ${text}`)
  return value
}

/** False for lone surrogates and U+0000, which PostgreSQL's text cannot store. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function numberValue(text: string, { scale, rounds }: CompiledField): Value | DeadReason {
  const amount = parseDecimal(text, scale, rounds)
  return typeof amount === 'string' ? amount : { text: canonicalText(amount, scale), amount }
}
