/** From the bytes of a request to its events, each with the bytes that its client wrote: 1.10 stays 1.10. Pure. */
import { MAX_JSON_DEPTH } from '#pipeline/limits.ts'
import { type Exact, parseExact } from './exact-checks.ts'

export type SentEvent = {
  /** What lies in the log: a slice of the request. */
  bytes: Buffer
  /** The same as JavaScript sees it, for the schema. */
  plain: unknown
  exact: Exact
}

export type Body = { events: SentEvent[]; isBatch: boolean }

/** The request is not JSON that the engine could read; the message says why. */
export class BodyError extends Error {}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const [QUOTE, BACKSLASH, COMMA, OPEN_BRACKET] = [0x22, 0x5c, 0x2c, 0x5b]
const OPENING = new Set(Buffer.from('[{'))
const CLOSING = new Set(Buffer.from(']}'))
const BLANKS = new Set(Buffer.from(' \t\r\n'))

/** One event, or an array of them. Throws BodyError. */
export function parseBody(bytes: Buffer): Body {
  const { commas, depth } = scan(bytes)
  const ofEvents = trimmed(bytes)[0] === OPEN_BRACKET ? depth - 1 : depth
  if (ofEvents > MAX_JSON_DEPTH) throw new BodyError(`arrays and objects nest more than ${MAX_JSON_DEPTH} deep`)
  const [plain, exact] = parseTwice(bytes)
  if (!Array.isArray(plain)) return { events: [{ bytes: trimmed(bytes), plain, exact }], isBatch: false }
  if (plain.length === 0) throw new BodyError('an empty array: nothing to send')
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

/** Where commas stand directly inside the outermost array, and how deep the nesting goes. */
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

/** Index of the closing quote; the end of the bytes when there is none. */
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
