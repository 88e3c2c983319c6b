/** The output of a decompressor that copies from its own earlier output. */
export class GrowingBytes {
  private bytes: Buffer
  length = 0

  constructor(expected: number) {
    this.bytes = Buffer.alloc(expected)
  }

  /** Appends `source` from `from` to `to`. Throws an Error when `source` ends earlier. */
  append(source: Buffer, from: number, to: number): void {
    if (to > source.length) throw new Error('the compressed data ends too early')
    this.reserve(to - from)
    source.copy(this.bytes, this.length, from, to)
    this.length += to - from
  }

  /** Appends `count` bytes of the output, from `distance` bytes before its end; they may overlap what is appended. */
  repeat(distance: number, count: number): void {
    if (distance === 0 || distance > this.length)
      throw new Error('the compressed data refers to bytes before its start')
    this.reserve(count)
    for (let left = count; left > 0; left--, this.length++)
      this.bytes[this.length] = this.bytes[this.length - distance]!
  }

  result(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const larger = Buffer.alloc(Math.max(2 * this.bytes.length, this.length + count))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}
