/** Parses JSON and keeps the text of numbers: JSON.parse decides what is JSON, its rounded numbers are not used. */
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from '#pipeline/limits.ts'

const BACKSLASH = 0x5c
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const QUOTE = 0x22

/** The text of a JSON number. */
export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Json = null | boolean | string | NumberText | Json[] | JsonObject
export type JsonObject = { [key: string]: Json }

/** Returns undefined when `text` is not JSON. The last of duplicate keys wins. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text, keepNumberText as (key: string, value: unknown) => unknown)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function keepNumberText(_key: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === 'number' ? new NumberText(context.source!) : value
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText)
}

/** Returns the value at `path` ("a.b", or its parts), by own properties of objects only; null when absent or null. */
export function valueAt(root: Json, path: string | string[]): Json {
  let value = root
  for (const key of typeof path === 'string' ? path.split('.') : path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return null
    value = value[key]!
  }
  return value
}

/**
 * Returns bytes[start, end) as text. A sequence that is not UTF-8 becomes two lone low surrogates, so that only its
 * string is bad. Two, because one could pair with an escaped high surrogate before it.
 */
export function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end)
  if (!text.includes('\uFFFD')) return text
  // A U+FFFD is either a replacement or part of the input: EF BF BD, which no broken sequence can include.
  return bytes
    .toString('latin1', start, end)
    .split('\xEF\xBF\xBD')
    .map(part => Buffer.from(part, 'latin1').toString('utf8').replaceAll('\uFFFD', '\uDC80\uDC80'))
    .join('\uFFFD')
}

/**
 * Returns which limit the bytes exceed as JSON, if any: nesting, or the number of values. It counts bytes, so it needs
 * neither the stack nor the memory that a parser would. Each value but the first follows a comma or an opening bracket.
 */
export function exceededLimit(bytes: Buffer, start: number, end: number): 'too_deep' | 'too_many_values' | null {
  let depth = 0
  let values = 1
  let inString = false
  for (let p = start; p < end; p++) {
    const byte = bytes[p]!
    if (inString && byte === BACKSLASH) p++
    else if (byte === QUOTE) inString = !inString
    else if (inString) continue
    else if (byte === COMMA) values++
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      values++
      if (++depth > MAX_JSON_DEPTH) return 'too_deep'
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--
  }
  return values > MAX_JSON_VALUES ? 'too_many_values' : null
}
