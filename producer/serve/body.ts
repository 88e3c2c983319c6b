/** Splits the bytes of a request into its events, each with its original bytes: 1.10 stays 1.10. Pure. */
import { MAX_JSON_DEPTH } from '#pipeline/limits.ts'
import { type Exact, parseExact } from './exact-checks.ts'

export type SentEvent = {
  /** The record's value: a slice of the request. */
  bytes: Buffer
  /** The parsed event, for the schema. */
  plain: unknown
  exact: Exact
}

export type Body = { events: SentEvent[]; isBatch: boolean }

/** The request is not JSON that the engine can read; the message says why. */
export class BodyError extends Error {}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const [QUOTE, BACKSLASH, COMMA, OPEN_BRACKET] = [0x22, 0x5c, 0x2c, 0x5b]
const OPENING = new Set(Buffer.from('[{'))
const CLOSING = new Set(Buffer.from(']}'))
const BLANKS = new Set(Buffer.from(' \t\r\n'))

/** Parses one event or an array of events. Throws BodyError. */
export function parseBody(bytes: Buffer): Body {
  const { commas, depth } = scan(bytes)
  const eventDepth = trimmed(bytes)[0] === OPEN_BRACKET ? depth - 1 : depth
  if (eventDepth > MAX_JSON_DEPTH)
    throw new BodyError(
      `an event has more than ${MAX_JSON_DEPTH} levels of nested arrays and objects; send it with fewer levels`,
    )
  const [plain, exact] = parseTwice(bytes)
  if (!Array.isArray(plain)) return { events: [{ bytes: trimmed(bytes), plain, exact }], isBatch: false }
  if (plain.length === 0) throw new BodyError('the array is empty; send at least one sale')
  const inner = trimmed(bytes)
  const from = bytes.indexOf('[') + 1
  const cuts = [from - 1, ...commas, from + inner.length - 2]
  const events = plain.map((event, i) => ({
    bytes: trimmed(bytes.subarray(cuts[i]! + 1, cuts[i + 1])),
    plain: event,
    exact: (exact as Exact[])[i]!,
  }))
  return { events, isBatch: true }
}

function parseTwice(bytes: Buffer): [unknown, Exact] {
  try {
    const text = UTF8.decode(bytes)
    return [JSON.parse(text), parseExact(text)]
  } catch (error) {
    throw new BodyError(error instanceof SyntaxError ? `not JSON: ${error.message}` : 'not valid UTF-8')
  }
}

/** Returns the positions of the commas directly inside the outermost array, and the nesting depth. */
function scan(bytes: Buffer): { commas: number[]; depth: number } {
  const commas: number[] = []
  let [level, depth] = [0, 0]
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === QUOTE) i = endOfString(bytes, i)
    else if (OPENING.has(byte)) depth = Math.max(depth, ++level)
    else if (CLOSING.has(byte)) level--
    else if (byte === COMMA && level === 1) commas.push(i)
  }
  return { commas, depth }
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
