/** Kafka's hash of keys. The client library computes it with big integers, which is 20 times slower than 32 bits. */

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Returns the same bits as the Java client's `Utils.murmur2`, as a signed 32-bit number. */
export function murmur2(key: Buffer): number {
  const length = key.length
  const whole = length & ~3
  let h = SEED ^ length
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(key.readInt32LE(i), M)
    k = Math.imul(k ^ (k >>> 24), M)
    h = Math.imul(h, M) ^ k
  }
  if (length > whole) {
    for (let i = length - 1; i >= whole; i--) h ^= key[i]! << (8 * (i - whole))
    h = Math.imul(h, M)
  }
  h = Math.imul(h ^ (h >>> 13), M)
  return h ^ (h >>> 15)
}
