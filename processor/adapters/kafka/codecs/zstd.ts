/**
 * Zstd (RFC 8878): frames one after the other, of which some may be skippable. Node reads only the first frame, and drops the
 * others without an error. As for Java's clients, what follows the last whole frame does not count.
 */
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { AT_ONCE_BYTES, CHUNK_BYTES } from './limits.ts'

const MAGIC = 0xfd2fb528
/** The last four bits may have any value. */
const SKIPPABLE = 0x184d2a50
const BLOCK_HEADER_BYTES = 3
/** Type of a block that is one byte, repeated as often as its size says. */
const REPEATED = 1

/** Throws (while iterated) RangeError or a zlib error if the bytes do not begin with a whole frame, or a frame is broken. */
export async function* zstdFrames(bytes: Buffer): AsyncGenerator<Buffer> {
  let frames = 0
  for (let at = 0; at < bytes.length; ) {
    const end = frameEnd(bytes, at)
    if (end === null) break
    if (bytes.readUInt32LE(at) === MAGIC) {
      yield* decompressed(bytes.subarray(at, end))
      frames++
    }
    at = end
  }
  if (frames === 0) throw new RangeError('the batch does not begin with a whole zstd frame')
}

async function* decompressed(frame: Buffer): AsyncGenerator<Buffer> {
  try {
    yield zstdDecompressSync(frame, { maxOutputLength: AT_ONCE_BYTES })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error
    yield* createZstdDecompress({ chunkSize: CHUNK_BYTES }).end(frame)
  }
}

/** Returns the end of the frame at `at`; null if there is no whole one. */
function frameEnd(bytes: Buffer, at: number): number | null {
  if (at + 8 > bytes.length) return null
  const magic = bytes.readUInt32LE(at)
  const end =
    (magic & ~0xf) === SKIPPABLE
      ? at + 8 + bytes.readUInt32LE(at + 4)
      : magic === MAGIC
        ? blocksEnd(bytes, at + 4)
        : null
  return end !== null && end <= bytes.length ? end : null
}

/** `at`: position of the frame's descriptor. */
function blocksEnd(bytes: Buffer, at: number): number | null {
  const descriptor = bytes[at]!
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!
  let next = at + 1 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
  for (;;) {
    if (next + BLOCK_HEADER_BYTES > bytes.length) return null
    const block = bytes.readUIntLE(next, BLOCK_HEADER_BYTES)
    next += BLOCK_HEADER_BYTES + (((block >> 1) & 3) === REPEATED ? 1 : block >> 3)
    if (block & 1) return next + (descriptor & 4) // the checksum of the content has 4 bytes
  }
}
