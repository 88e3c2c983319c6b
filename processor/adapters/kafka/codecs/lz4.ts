/** Lz4: a frame consists of blocks of at most 4 MiB, which are decompressed one by one. */
import { compressionsAlgorithms } from '@platformatic/kafka'

const { decompressSync } = compressionsAlgorithms.lz4

const LZ4_MAGIC = 0x184d2204
/** Bits of the flag byte: checksum after each block, size of the content, id of a dictionary. */
const [BLOCK_CHECKSUM, CONTENT_SIZE, DICTIONARY] = [0x10, 0x08, 0x01]
const UNCOMPRESSED = 0x80000000
/** A frame header without options, for independent blocks: by its descriptor byte (block size), with its checksum. */
const LZ4_HEADERS: Record<number, Buffer> = Object.fromEntries(
  [
    [0x40, 0x82], // 64 KiB
    [0x50, 0xfb], // 256 KiB
    [0x60, 0x51], // 1 MiB
    [0x70, 0x73], // 4 MiB
  ].map(([descriptor, checksum]) => [descriptor, Buffer.of(0x04, 0x22, 0x4d, 0x18, 0x60, descriptor!, checksum!)]),
)
const LZ4_END = Buffer.alloc(4)

/** Gives each block a frame of its own, because the decompressor reads whole frames. */
export function* lz4Blocks(bytes: Buffer): Generator<Buffer> {
  const flags = bytes[4] ?? 0
  const header = LZ4_HEADERS[bytes[5] ?? 0]
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== LZ4_MAGIC || !header || flags & DICTIONARY)
    throw new RangeError('the batch does not begin with an lz4 frame of independent blocks')
  let at = 7 + (flags & CONTENT_SIZE ? 8 : 0)
  for (;;) {
    if (at + 4 > bytes.length) throw new RangeError('the lz4 frame has no end')
    const length = bytes.readUInt32LE(at) & ~UNCOMPRESSED
    if (length === 0) return
    const next = at + 4 + length + (flags & BLOCK_CHECKSUM ? 4 : 0)
    if (next > bytes.length) throw new RangeError('an lz4 block is longer than its batch')
    yield decompressSync(Buffer.concat([header, bytes.subarray(at, at + 4 + length), LZ4_END]))
    at = next
  }
}
