/**
 * Decompresses in steps of bounded size: a megabyte of gzip or zstd can expand to gigabytes.
 *
 * - gzip, zstd: at once if the result is small; otherwise Node's streams deliver it in chunks.
 * - lz4: a frame consists of blocks of at most 4 MiB, which are decompressed one by one.
 * - snappy: expands at most 22 times. The blocks of Java's clients are decompressed one by one.
 */
import type { Transform } from 'node:stream'
import { createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'

const [SNAPPY, LZ4] = [2, 3]

type Inflate = (bytes: Buffer) => Iterable<Buffer> | AsyncIterable<Buffer>

/** Results up to this size are decompressed in one call. */
const AT_ONCE_BYTES = 4 << 20
const CHUNK_BYTES = 64 << 10

/** Codec numbers of the record batch's attributes. */
const CODECS: Record<number, Inflate> = {
  0: bytes => [bytes],
  1: bytes => zlib(bytes, gunzipSync, createGunzip),
  [SNAPPY]: snappyBlocks,
  [LZ4]: lz4Blocks,
  4: bytes => zlib(bytes, zstdDecompressSync, createZstdDecompress),
}

/** Throws (while iterated) RangeError or a zlib error if `bytes` are not what the codec wrote. */
export function inflate(codec: number, bytes: Buffer): Iterable<Buffer> | AsyncIterable<Buffer> {
  const algorithm = CODECS[codec]
  if (algorithm) return algorithm(bytes)
  throw new RangeError(
    `compression codec ${codec} is not supported; set the producer to gzip (1), snappy (2), lz4 (3) or zstd (4)`,
  )
}

async function* zlib(
  bytes: Buffer,
  sync: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer,
  open: (options: { chunkSize: number }) => Transform,
): AsyncGenerator<Buffer> {
  try {
    yield sync(bytes, { maxOutputLength: AT_ONCE_BYTES })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error
    yield* open({ chunkSize: CHUNK_BYTES }).end(bytes)
  }
}

const wholly = (codec: number, bytes: Buffer) => compressionsAlgorithmsByBitmask[codec]!.decompressSync(bytes)

/** The header that snappy's Java library writes before its blocks: this magic, then two versions of 4 bytes. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER = 16
/** The longest copy, 64 bytes, takes 3 bytes. */
const SNAPPY_MAX_RATIO = 22

function* snappyBlocks(bytes: Buffer): Generator<Buffer> {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) {
    yield snappyBlock(bytes)
    return
  }
  for (let at = XERIAL_HEADER; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    at += 4
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
  return wholly(SNAPPY, block)
}

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
function* lz4Blocks(bytes: Buffer): Generator<Buffer> {
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
    yield wholly(LZ4, Buffer.concat([header, bytes.subarray(at, at + 4 + length), LZ4_END]))
    at = next
  }
}
