/**
 * Gzip, as Java reads it: of what follows the first member, it takes whole members and ignores the rest, and it ignores flags
 * without a meaning. Node refuses both, but a broker stores them. The checksums of members are not compared, because the
 * batch has one of its own.
 */
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib'
import { AT_ONCE_BYTES, CHUNK_BYTES } from './limits.ts'

/** Checksum and size, after each member. */
const TRAILER_BYTES = 8
const FIXED_BYTES = 10
const [HEADER_CHECKSUM, EXTRA, NAME, COMMENT] = [0x02, 0x04, 0x08, 0x10]

/** Throws (while iterated) RangeError or a zlib error if the first member is broken. */
export async function* gunzip(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const isFirst = at === 0
    const header = headerBytes(bytes.subarray(at))
    if (header === null && isFirst) throw new RangeError('the batch does not begin with a gzip header')
    if (header === null) return
    try {
      at += header + (yield* inflated(bytes.subarray(at + header))) + TRAILER_BYTES
    } catch (error) {
      if (isFirst) throw error
      return
    }
  }
}

/** Yields what the deflated data at the start of `bytes` expands to. Returns its length. */
async function* inflated(bytes: Buffer): AsyncGenerator<Buffer, number> {
  try {
    const options = { maxOutputLength: AT_ONCE_BYTES, info: true }
    // The types of Node lack what `info` adds.
    const { buffer, engine } = inflateRawSync(bytes, options) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    yield buffer
    return engine.bytesWritten
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error
  }
  const stream = createInflateRaw({ chunkSize: CHUNK_BYTES })
  stream.end(bytes)
  yield* stream
  return stream.bytesWritten
}

/** Returns the length of the header (RFC 1952) at the start of `bytes`; null if there is no whole one. */
function headerBytes(bytes: Buffer): number | null {
  const [first, second, method, flags = 0] = bytes
  if (bytes.length < FIXED_BYTES || first !== 0x1f || second !== 0x8b || method !== 8) return null
  let at = FIXED_BYTES
  if (flags & EXTRA) {
    if (at + 2 > bytes.length) return null
    at += 2 + bytes.readUInt16LE(at)
  }
  for (const text of [NAME, COMMENT]) {
    if (!(flags & text)) continue
    const end = bytes.indexOf(0, at)
    if (end < 0) return null
    at = end + 1
  }
  if (flags & HEADER_CHECKSUM) {
    if (at + 2 > bytes.length) return null
    if (bytes.readUInt16LE(at) !== (crc32(bytes.subarray(0, at)) & 0xffff)) return null
    at += 2
  }
  return at <= bytes.length ? at : null
}
