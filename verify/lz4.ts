/** Decompresses an LZ4 frame by its format description. Checksums are skipped: the batch has its own. */
import { GrowingBytes } from './growing-bytes.ts'

const MAGIC = 0x184d2204
const FLAGS_AT = 4
/** Flags of the frame: what follows the header, and what follows each block. */
const [HAS_DICTIONARY, HAS_CONTENT_SIZE, HAS_BLOCK_CHECKSUMS] = [0x01, 0x08, 0x10]
const IS_UNCOMPRESSED = 0x80000000
const MIN_MATCH = 4

/** Throws an Error when `bytes` are not valid. */
export function decompressLz4(bytes: Buffer): Buffer {
  if (bytes.readUInt32LE(0) !== MAGIC) throw new Error('the data is not an LZ4 frame')
  const flags = bytes.readUInt8(FLAGS_AT)
  if (flags & HAS_DICTIONARY) throw new Error('the LZ4 frame needs a dictionary')
  const output = new GrowingBytes(4 * bytes.length)
  // After the flags: block size, perhaps the size of the content, checksum of the header.
  let at = FLAGS_AT + 3 + (flags & HAS_CONTENT_SIZE ? 8 : 0)
  for (;;) {
    const size = bytes.readUInt32LE(at)
    if (size === 0) return output.result()
    const start = at + 4
    const end = start + (size % IS_UNCOMPRESSED)
    if (end > bytes.length) throw new Error('an LZ4 block ends after its batch')
    if (size >= IS_UNCOMPRESSED) output.append(bytes, start, end)
    else decompressBlock(bytes.subarray(start, end), output)
    at = end + (flags & HAS_BLOCK_CHECKSUMS ? 4 : 0)
  }
}

/** Sequences of literals and a match; the last one has only literals. */
function decompressBlock(block: Buffer, output: GrowingBytes): void {
  for (let at = 0; at < block.length; ) {
    const token = block[at]!
    const literals = readLength(block, at + 1, token >> 4)
    const matchAt = literals.next + literals.value
    output.append(block, literals.next, matchAt)
    if (matchAt === block.length) return
    const match = readLength(block, matchAt + 2, token & 15)
    output.repeat(block.readUInt16LE(matchAt), MIN_MATCH + match.value)
    at = match.next
  }
}

/** 15 means that the following bytes are added, up to the first one that is not 255. */
function readLength(block: Buffer, at: number, short: number): { value: number; next: number } {
  if (short < 15) return { value: short, next: at }
  for (let value = short, next = at; ; ) {
    const byte = block.readUInt8(next++)
    value += byte
    if (byte < 255) return { value, next }
  }
}
