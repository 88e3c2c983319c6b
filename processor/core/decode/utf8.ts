/** Returns whether bytes[start, end) is UTF-8 (RFC 3629: no overlong forms, surrogates or code points > U+10FFFF). */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p < end; ) {
    const lead = bytes[p]!
    const length = lead < 0x80 ? 1 : sequenceLength(lead)
    if (length === 0 || p + length > end) return false
    if (length > 1 && !isSequence(bytes, p, length)) return false
    p += length
  }
  return true
}

function sequenceLength(lead: number): number {
  if (lead < 0xc2) return 0
  if (lead < 0xe0) return 2
  if (lead < 0xf0) return 3
  return lead < 0xf5 ? 4 : 0
}

function isSequence(bytes: Uint8Array, p: number, length: number): boolean {
  const lead = bytes[p]!
  // The second byte shows overlong forms, surrogates and code points above U+10FFFF.
  const min = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const max = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (bytes[p + 1]! < min || bytes[p + 1]! > max) return false
  for (let i = 2; i < length; i++) if ((bytes[p + i]! & 0xc0) !== 0x80) return false
  return true
}
