import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'

/** Codec numbers of the record batch's attributes: 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
export function decompress(codec: number, bytes: Buffer): Buffer {
  const algorithm = compressionsAlgorithmsByBitmask[codec]
  if (!algorithm)
    throw new RangeError(
      `compression codec ${codec} is not supported; set the producer to gzip (1), snappy (2), lz4 (3) or zstd (4)`,
    )
  return algorithm.decompressSync(bytes)
}
