/** Finds the end of strings without escapes: from the position after the opening quote to the closing one, or −1. */
import { isUtf8 } from '../utf8.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** 1 for bytes that end a run of plain characters: a quote, a backslash, a control character. */
const STOPS = Uint8Array.from({ length: 256 }, (_, byte) => Number(byte < 0x20 || byte === QUOTE || byte === BACKSLASH))

/** Returns the position of the first byte that is not a plain character, at most `last`. */
export function stringStop(bytes: Buffer, p: number, last: number): number {
  // `| 0` keeps the loop on machine integers: a third less time for each byte.
  p |= 0
  last |= 0
  while (p < last && STOPS[bytes[p]!] === 0) p = (p + 1) | 0
  return p
}

/** Returns the end of a string whose encoding does not matter here. */
export function plainEnd(bytes: Buffer, p: number, last: number): number {
  p = stringStop(bytes, p, last)
  return p < last && bytes[p] === QUOTE ? p : -1
}

/** Returns the end of a string that must be valid UTF-8. */
export function utf8End(bytes: Buffer, start: number, last: number): number {
  let p = start | 0
  last |= 0
  let all = 0
  for (; p < last; p = (p + 1) | 0) {
    const byte = bytes[p]!
    if (STOPS[byte] !== 0) break
    all |= byte
  }
  if (p >= last || bytes[p] !== QUOTE) return -1
  return all < 0x80 || isUtf8(bytes, start, p) ? p : -1
}
