/**
 * Decompresses in steps of bounded size: a megabyte of gzip or zstd can expand to gigabytes. It reads whatever a broker
 * accepts, which is what Java's libraries read: a batch that it could not read would stop its partition.
 */
import { gunzip } from './codecs/gzip.ts'
import { lz4Blocks } from './codecs/lz4.ts'
import { snappyBlocks } from './codecs/snappy.ts'
import { zstdFrames } from './codecs/zstd.ts'

type Inflate = (bytes: Buffer) => Iterable<Buffer> | AsyncIterable<Buffer>

/** Codec numbers of the record batch's attributes. */
const CODECS: Record<number, Inflate> = { 0: bytes => [bytes], 1: gunzip, 2: snappyBlocks, 3: lz4Blocks, 4: zstdFrames }

/** Throws (while iterated) RangeError or a zlib error if `bytes` are not what the codec wrote. */
export function inflate(codec: number, bytes: Buffer): Iterable<Buffer> | AsyncIterable<Buffer> {
  const algorithm = CODECS[codec]
  if (algorithm) return algorithm(bytes)
  throw new RangeError(
    `compression codec ${codec} is not supported; set the producer to gzip (1), snappy (2), lz4 (3) or zstd (4)`,
  )
}
