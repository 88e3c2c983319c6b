/** Snappy, which expands at most 22 times, as one block or as the blocks of Java's clients, which are decompressed one by one. */
import { compressionsAlgorithms } from '@platformatic/kafka'

const { decompressSync } = compressionsAlgorithms.snappy

/**
 * The header that snappy's Java library writes before its blocks: this magic, then two versions of 4 bytes. It may occur
 * again between blocks, where streams were joined.
 */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER = 16
/** Bytes of the length before each block. */
const LENGTH = 4
/** The first bytes of the header, where a block would have its length. */
const JOINED = XERIAL.readUInt32BE(0)
/** The longest copy, 64 bytes, takes 3 bytes. */
const SNAPPY_MAX_RATIO = 22

export function* snappyBlocks(bytes: Buffer): Generator<Buffer> {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) {
    yield snappyBlock(bytes)
    return
  }
  // Java's library ignores less than a length at the end.
  for (let at = XERIAL_HEADER; at + LENGTH <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (length === JOINED) {
      at += XERIAL_HEADER
      continue
    }
    at += LENGTH
    if (at + length > bytes.length) throw new RangeError('a snappy block is longer than its batch')
    yield snappyBlock(bytes.subarray(at, (at += length)))
  }
}

function snappyBlock(block: Buffer): Buffer {
  let size = 0
  for (let p = 0, factor = 1; ; p++, factor *= 128) {
    const byte = block[p]
    if (byte === undefined || p > 4) throw new RangeError('a snappy block has no length')
    size += (byte & 127) * factor
    if (byte < 128) break
  }
  // The decompressor would allocate whatever the block claims.
  if (size > SNAPPY_MAX_RATIO * block.length)
    throw new RangeError(`a snappy block of ${block.length} bytes claims ${size} bytes`)
  return decompressSync(block)
}
