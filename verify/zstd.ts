/** Decompresses zstd with the tolerance of Java's clients, which brokers share: a last frame that is cut off is left out. */
import { Decompress } from 'fzstd'

/** Throws an Error when the first frame is not valid. */
export function decompressZstd(bytes: Buffer): Buffer {
  const chunks: Uint8Array[] = []
  const stream = new Decompress(chunk => chunks.push(chunk))
  try {
    stream.push(bytes, true)
  } catch (error) {
    // What is missing then shows in the number of records.
    if (chunks.length === 0) throw error
  }
  return Buffer.concat(chunks)
}
