/** Decompresses snappy by its format description: one block, or the blocks of Java's clients behind a header ("xerial"). */
import { GrowingBytes } from './growing-bytes.ts'

const XERIAL_MAGIC = Buffer.from('\x82SNAPPY\0', 'latin1')
/** The magic and two version numbers of 4 bytes. */
const XERIAL_HEADER_BYTES = 16

/** Throws an Error when `bytes` are not valid. */
export function decompressSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return decompressBlock(bytes)
  const blocks: Buffer[] = []
  // Java's library joins streams at their headers, and leaves out one to three bytes at the end.
  for (let at = XERIAL_HEADER_BYTES; bytes.length - at > 3; ) {
    if (bytes.subarray(at, at + XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
      at += XERIAL_HEADER_BYTES
      continue
    }
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) throw new Error('a snappy block ends after its batch')
    blocks.push(decompressBlock(bytes.subarray(at + 4, end)))
    at = end
  }
  return Buffer.concat(blocks)
}

function decompressBlock(block: Buffer): Buffer {
  const { value: size, next } = readLength(block)
  const output = new GrowingBytes(Math.min(size, 1 << 20))
  for (let at = next; at < block.length; )
    at = (block[at]! & 3) === 0 ? literal(block, at, output) : copy(block, at, output)
  if (output.length !== size) throw new Error(`a snappy block has ${output.length} bytes, but announces ${size}`)
  return output.result()
}

/** A varint: 7 bits in each byte, the lowest first. */
function readLength(block: Buffer): { value: number; next: number } {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = block.readUInt8(i)
    value += (byte % 128) * 128 ** i
    if (byte < 128) return { value, next: i + 1 }
  }
  throw new Error('the length of a snappy block has more than 5 bytes')
}

/** The tag has the length minus 1; from 60 on, it has the number of bytes that do, minus 59. */
function literal(block: Buffer, at: number, output: GrowingBytes): number {
  const short = block[at]! >> 2
  const extra = Math.max(0, short - 59)
  const start = at + 1 + extra
  const length = 1 + (extra === 0 ? short : block.readUIntLE(at + 1, extra))
  output.append(block, start, start + length)
  return start + length
}

function copy(block: Buffer, at: number, output: GrowingBytes): number {
  const tag = block[at]!
  const kind = tag & 3
  if (kind === 1) {
    output.repeat((tag >> 5) * 256 + block.readUInt8(at + 1), 4 + ((tag >> 2) & 7))
    return at + 2
  }
  const bytes = kind === 2 ? 2 : 4
  output.repeat(block.readUIntLE(at + 1, bytes), 1 + (tag >> 2))
  return at + 1 + bytes
}
