/**
 * Skips JSON values while checking that they are JSON. Each function takes a position and returns the one after what it
 * read, or −1 when that is not plain enough for the scanner, perhaps not JSON at all.
 *
 * `last` is the position of the record's closing brace. Every loop stops at a brace, except those over strings: only
 * these check `last`, and no read leaves the record.
 */

import { stringStop } from './plain-string.ts'

const BACKSLASH = 0x5c
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const COLON = 0x3a
const COMMA = 0x2c
const DOT = 0x2e
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74
const LETTER_U = 0x75
const MINUS = 0x2d
const NINE = 0x39
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const PLUS = 0x2b
const QUOTE = 0x22
const SMALL = 0x20
const SMALL_E = 0x65
const SPACE = 0x20
const ZERO = 0x30

/** Deeper values are left to JSON.parse: they are rare, and this recursion stays shallow. */
export const MAX_SCAN_DEPTH = 32

/** Characters that may follow a backslash, besides u with four hexadecimal digits. */
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'))

/** Returns the position after white space: space, tab, line feed, carriage return. */
export function skipSpace(bytes: Buffer, p: number): number {
  while (isSpace(bytes[p]!)) p++
  return p
}

export function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Skips any value that starts at p. */
export function skipValue(bytes: Buffer, p: number, last: number, depth: number): number {
  const byte = bytes[p]!
  if (byte === QUOTE) return skipString(bytes, p + 1, last)
  if (byte === OPEN_BRACE) return depth < MAX_SCAN_DEPTH ? skipObject(bytes, p + 1, last, depth + 1) : -1
  if (byte === OPEN_BRACKET) return depth < MAX_SCAN_DEPTH ? skipArray(bytes, p + 1, last, depth + 1) : -1
  if (byte === LETTER_T) return skipTrue(bytes, p, last)
  if (byte === LETTER_F) return skipFalse(bytes, p, last)
  if (byte === LETTER_N) return skipNull(bytes, p, last)
  return skipNumber(bytes, p)
}

/** `p`: position after the opening quote. */
function skipString(bytes: Buffer, p: number, last: number): number {
  p = stringStop(bytes, p, last)
  while (p < last && bytes[p] === BACKSLASH) {
    p = escapeEnd(bytes, p + 1, last)
    if (p < 0) return -1
    p = stringStop(bytes, p, last)
  }
  return p < last && bytes[p] === QUOTE ? p + 1 : -1
}

export function skipTrue(bytes: Buffer, p: number, last: number): number {
  return p + 4 <= last && bytes[p + 1] === 0x72 && bytes[p + 2] === LETTER_U && bytes[p + 3] === SMALL_E ? p + 4 : -1
}

export function skipFalse(bytes: Buffer, p: number, last: number): number {
  if (p + 5 > last || bytes[p + 1] !== 0x61 || bytes[p + 2] !== 0x6c) return -1
  return bytes[p + 3] === 0x73 && bytes[p + 4] === SMALL_E ? p + 5 : -1
}

export function skipNull(bytes: Buffer, p: number, last: number): number {
  return p + 4 <= last && bytes[p + 1] === LETTER_U && bytes[p + 2] === 0x6c && bytes[p + 3] === 0x6c ? p + 4 : -1
}

function skipNumber(bytes: Buffer, p: number): number {
  if (bytes[p] === MINUS) p++
  p = bytes[p] === ZERO ? p + 1 : skipDigits(bytes, p)
  if (p > 0 && bytes[p] === DOT) p = skipDigits(bytes, p + 1)
  if (p > 0 && (bytes[p]! | SMALL) === SMALL_E) {
    p++
    p = skipDigits(bytes, bytes[p] === PLUS || bytes[p] === MINUS ? p + 1 : p)
  }
  return p
}

/** Skips one digit or more. */
function skipDigits(bytes: Buffer, p: number): number {
  const first = p
  while (bytes[p]! >= ZERO && bytes[p]! <= NINE) p++
  return p === first ? -1 : p
}

/** `p`: position after the brace. */
function skipObject(bytes: Buffer, p: number, last: number, depth: number): number {
  p = skipSpace(bytes, p)
  if (bytes[p] === CLOSE_BRACE) return p < last ? p + 1 : -1
  for (;;) {
    if (bytes[p] !== QUOTE) return -1
    p = skipString(bytes, p + 1, last)
    if (p < 0) return -1
    p = skipSpace(bytes, p)
    if (bytes[p] !== COLON) return -1
    p = skipValue(bytes, skipSpace(bytes, p + 1), last, depth)
    if (p < 0) return -1
    p = skipSpace(bytes, p)
    if (bytes[p] === CLOSE_BRACE) return p < last ? p + 1 : -1
    if (bytes[p] !== COMMA) return -1
    p = skipSpace(bytes, p + 1)
  }
}

/** `p`: position after the bracket. */
function skipArray(bytes: Buffer, p: number, last: number, depth: number): number {
  p = skipSpace(bytes, p)
  if (bytes[p] === CLOSE_BRACKET) return p + 1
  for (;;) {
    p = skipValue(bytes, p, last, depth)
    if (p < 0) return -1
    p = skipSpace(bytes, p)
    if (bytes[p] === CLOSE_BRACKET) return p + 1
    if (bytes[p] !== COMMA) return -1
    p = skipSpace(bytes, p + 1)
  }
}

/** Returns the position after an escape; `p`: position after its backslash. */
function escapeEnd(bytes: Buffer, p: number, last: number): number {
  if (p >= last) return -1
  if (bytes[p] !== LETTER_U) return ESCAPED.has(bytes[p]!) ? p + 1 : -1
  if (p + 4 >= last) return -1
  for (let i = 1; i <= 4; i++) if (!isHex(bytes[p + i]!)) return -1
  return p + 5
}

function isHex(byte: number): boolean {
  const small = byte | SMALL
  return (byte >= ZERO && byte <= NINE) || (small >= 0x61 && small <= 0x66)
}
