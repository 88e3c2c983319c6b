/** Splits the bytes of a request into its events, each with its original bytes: 1.10 stays 1.10. Pure. */
import { isUtf8 } from 'node:buffer'
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from '#pipeline/limits.ts'
import { type Exact, parseExact } from './exact-json.ts'
import { Refusal } from './refusal.ts'

export type SentEvent = {
  /** The parsed event, for the schema. */
  plain: unknown
  /** The same if no digits are needed. */
  exact: Exact
}

/** `events`: the bytes of each event, slices of the request that are made and parsed (`parseEvent`) one by one. */
export type Body = { events: Iterable<Buffer>; isBatch: boolean }

const [QUOTE, BACKSLASH, COMMA, OPEN_BRACKET, CLOSE_BRACKET] = [0x22, 0x5c, 0x2c, 0x5b, 0x5d]
const OPENING = new Set(Buffer.from('[{'))
const CLOSING = new Set(Buffer.from(']}'))
const BLANKS = new Set(Buffer.from(' \t\r\n'))

/**
 * Splits one event, or an array of at most `maxEvents`. The memory that it needs is bounded by `maxEvents`, not by the
 * number of events that the body has. Throws Refusal: 400 or 413.
 */
export function splitBody(bytes: Buffer, maxEvents: number): Body {
  if (!isUtf8(bytes)) throw new Refusal(400, 'not valid UTF-8')
  const inner = trimmed(bytes)
  const isBatch = inner[0] === OPEN_BRACKET
  const { commas, count, depth } = scan(inner, maxEvents)
  if ((isBatch ? depth - 1 : depth) > MAX_JSON_DEPTH)
    throw new Refusal(
      400,
      `an event has more than ${MAX_JSON_DEPTH} levels of nested arrays and objects; send it with fewer levels`,
    )
  if (!isBatch) return { events: [inner], isBatch }
  if (inner.at(-1) !== CLOSE_BRACKET || inner.length === 1) throw new Refusal(400, 'not JSON: the array has no end')
  if (trimmed(inner.subarray(1, -1)).length === 0) throw new Refusal(400, 'the array is empty; send at least one sale')
  if (count > maxEvents)
    throw new Refusal(413, `the array has ${count} sales, more than ${maxEvents}; send several smaller requests`)
  return { events: elements(inner, commas), isBatch }
}

function* elements(array: Buffer, commas: number[]): Generator<Buffer> {
  let start = 1
  for (const end of [...commas, array.length - 1]) {
    yield trimmed(array.subarray(start, end))
    start = end + 1
  }
}

/**
 * `index`: index of the event in its array, or null for a single event. `digitsNeeded`: whether the checks need the
 * original digits of an event's numbers. Throws Refusal with status 400.
 */
export function parseEvent(bytes: Buffer, index: number | null, digitsNeeded: (plain: unknown) => boolean): SentEvent {
  const where = index === null ? '' : ` (event ${index} of the array)`
  if (hasTooManyValues(bytes))
    throw new Refusal(400, `an event has more than ${MAX_JSON_VALUES} values${where}; send it with fewer, or divide it`)
  const text = bytes.toString()
  try {
    const plain = JSON.parse(text)
    return { plain, exact: digitsNeeded(plain) ? parseExact(text) : plain }
  } catch (error) {
    throw new Refusal(400, `not JSON${where}: ${(error as Error).message}`)
  }
}

/** Returns the positions of the first `most` commas directly inside the outermost array, the number of elements, and the nesting depth. */
function scan(bytes: Buffer, most: number): { commas: number[]; count: number; depth: number } {
  const commas: number[] = []
  let [level, depth, count] = [0, 0, 1]
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === QUOTE) i = endOfString(bytes, i)
    else if (OPENING.has(byte)) depth = Math.max(depth, ++level)
    else if (CLOSING.has(byte)) level--
    else if (byte === COMMA && level === 1 && count++ < most) commas.push(i)
  }
  return { commas, count, depth }
}

/** Each value but the first follows a comma or an opening bracket. */
function hasTooManyValues(bytes: Buffer): boolean {
  if (bytes.length < MAX_JSON_VALUES) return false
  let values = 1
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === QUOTE) i = endOfString(bytes, i)
    else if (byte === COMMA || OPENING.has(byte)) values++
  }
  return values > MAX_JSON_VALUES
}

/** Returns the index of the closing quote, or the end of the bytes if there is none. */
function endOfString(bytes: Buffer, opening: number): number {
  let i = opening + 1
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1
  return i
}

function trimmed(bytes: Buffer): Buffer {
  let [start, end] = [0, bytes.length]
  while (start < end && BLANKS.has(bytes[start]!)) start++
  while (end > start && BLANKS.has(bytes[end - 1]!)) end--
  return bytes.subarray(start, end)
}
