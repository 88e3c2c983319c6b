/** MurmurHash3 x86_128 (Austin Appleby, public domain): ids are compared by it (contract, section 6). */

const C1 = 0x239b961b
const C2 = 0xab0e9789 | 0
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93 | 0

/** Any constant works: hashes are never stored, because ids are rebuilt from the log. */
const SEED = 0x5a1e5

/** Returns a view of the same bytes, to read them one word at a time. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Writes the 128 bits of bytes[start, end) to out[0..3]. */
export function hash128(bytes: DataView, start: number, end: number, out: Int32Array, seed = SEED): void {
  let h1 = seed
  let h2 = seed
  let h3 = seed
  let h4 = seed
  let p = start | 0
  end |= 0
  for (; p + 16 <= end; p = (p + 16) | 0) {
    h1 ^= Math.imul(rotate(Math.imul(bytes.getInt32(p, true), C1), 15), C2)
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
    h2 ^= Math.imul(rotate(Math.imul(bytes.getInt32(p + 4, true), C2), 16), C3)
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
    h3 ^= Math.imul(rotate(Math.imul(bytes.getInt32(p + 8, true), C3), 17), C4)
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
    h4 ^= Math.imul(rotate(Math.imul(bytes.getInt32(p + 12, true), C4), 18), C1)
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
  }
  if (p < end) {
    h1 ^= Math.imul(rotate(Math.imul(lastWord(bytes, p, end), C1), 15), C2)
    h2 ^= Math.imul(rotate(Math.imul(lastWord(bytes, p + 4, end), C2), 16), C3)
    h3 ^= Math.imul(rotate(Math.imul(lastWord(bytes, p + 8, end), C3), 17), C4)
    h4 ^= Math.imul(rotate(Math.imul(lastWord(bytes, p + 12, end), C4), 18), C1)
  }
  const length = end - start
  h1 = ((h1 ^ length) + (h2 ^ length) + (h3 ^ length) + (h4 ^ length)) | 0
  const first = finish(h1)
  const second = finish((h1 + (h2 ^ length)) | 0)
  const third = finish((h1 + (h3 ^ length)) | 0)
  const fourth = finish((h1 + (h4 ^ length)) | 0)
  out[0] = first + second + third + fourth
  out[1] = out[0]! + second
  out[2] = out[0]! + third
  out[3] = out[0]! + fourth
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by))
}

/** Returns up to four remaining bytes as the low bytes of a word. */
function lastWord(bytes: DataView, p: number, end: number): number {
  let value = 0
  for (let shift = 0; p < end && shift < 32; p++, shift += 8) value |= bytes.getUint8(p) << shift
  return value
}

function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
