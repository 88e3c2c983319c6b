/** Compresses the records of a batch in every form that a Kafka producer may choose. */
import { zstdCompressSync } from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { GZIP } from './record-batch.ts'

const { compressSync: lz4Compress } = compressionsAlgorithms.lz4
const { compressSync: snappyCompress } = compressionsAlgorithms.snappy
export const ZSTD = { codec: 4, compress: zstdCompressSync }
export const LZ4 = { codec: 3, compress: lz4Compress }
export const SNAPPY = { codec: 2, compress: snappyCompress }
export const JAVA_SNAPPY = { codec: 2, compress: xerial }

/** Every codec as producers write it; snappy has two framings. */
export const PRODUCER_CODECS = [
  ['gzip', GZIP],
  ['zstd', ZSTD],
  ['lz4', LZ4],
  ['snappy', SNAPPY],
  ['snappy as Java writes it', JAVA_SNAPPY],
] as const

/** Also lz4 frames that our producers do not write. A broker refuses them, because the checksum of their header is wrong. */
export const CODECS = [
  ...PRODUCER_CODECS,
  [
    'lz4 in blocks of 64 KiB, with checksums',
    { codec: 3, compress: (body: Buffer) => lz4Frame(body, 0x40, 64 << 10, 0x10) },
  ],
  [
    'lz4 in blocks of 256 KiB, with its size',
    { codec: 3, compress: (body: Buffer) => lz4Frame(body, 0x50, 256 << 10, 0x08) },
  ],
  ['lz4 in blocks of 1 MiB', { codec: 3, compress: (body: Buffer) => lz4Frame(body, 0x60, 1 << 20, 0) }],
  ['lz4 in blocks of 4 MiB', { codec: 3, compress: (body: Buffer) => lz4Frame(body, 0x70, 4 << 20, 0) }],
] as const

/** The format of snappy's Java library: a header, then blocks with their length before them. */
function xerial(body: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let at = 0; at < body.length; at += 32 << 10) {
    const block = snappyCompress(body.subarray(at, at + (32 << 10)))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** An lz4 frame whose blocks are not compressed. Nothing reads its checksums. */
function lz4Frame(body: Buffer, descriptor: number, blockBytes: number, flags: number): Buffer {
  const parts: Buffer[] = [Buffer.of(0x04, 0x22, 0x4d, 0x18, 0x60 | flags, descriptor)]
  if (flags & 0x08) parts.push(Buffer.alloc(8))
  parts.push(Buffer.of(0))
  for (let at = 0; at < body.length; at += blockBytes) {
    const block = body.subarray(at, at + blockBytes)
    const length = Buffer.alloc(4)
    length.writeUInt32LE((block.length | 0x80000000) >>> 0)
    parts.push(length, block)
    if (flags & 0x10) parts.push(Buffer.alloc(4))
  }
  return Buffer.concat([...parts, Buffer.alloc(4)])
}
