/**
 * Maps strings to small integers: group-by values of millions of events are a few distinct texts. They are found by
 * open addressing on their UTF-8 bytes, so that a known value costs no allocation.
 */
import { isUtf8 } from './utf8.ts'

const FIRST_TEXTS = 1024
const FIRST_BYTES = 1 << 14
/** Memory of one text besides its bytes: a start, a hash, two places in the index, and a string once it is read. */
const OVERHEAD_BYTES = 64

export class Interner {
  #size = 0
  /** The bytes of all texts, concatenated; text i is [starts[i], starts[i + 1]). */
  #bytes = new Uint8Array(FIRST_BYTES)
  #starts = new Int32Array(FIRST_TEXTS + 1)
  #hashes = new Int32Array(FIRST_TEXTS)
  /** Twice as long, so that probes stay short; holds code + 1, 0 is free. */
  #index = new Int32Array(FIRST_TEXTS * 2)
  #texts: (string | undefined)[] = []

  /** Returns the code of bytes[start, end), or −1 when they are not valid UTF-8; only new texts are checked. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end)
    const mask = this.#index.length - 1
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const code = this.#index[place]! - 1
      if (code < 0) return isUtf8(bytes, start, end) ? this.#add(place, hash, bytes, start, end) : -1
      if (this.#hashes[code] === hash && this.#holds(code, bytes, start, end)) return code
    }
  }

  /** Returns the code of a well-formed string. */
  internText(text: string): number {
    const bytes = Buffer.from(text)
    return this.intern(bytes, 0, bytes.length)
  }

  text(code: number): string {
    let text = this.#texts[code]
    if (text === undefined) {
      const bytes = this.#bytes.subarray(this.#starts[code], this.#starts[code + 1])
      text = Buffer.from(bytes).toString()
      this.#texts[code] = text
    }
    return text
  }

  /** Bytes of the text in UTF-8. */
  byteLength(code: number): number {
    return this.#starts[code + 1]! - this.#starts[code]!
  }

  /** Distinct texts; codes are 0 … size − 1. */
  get size(): number {
    return this.#size
  }

  /** Approximate memory of the texts. */
  get bytes(): number {
    return this.#starts[this.#size]! + this.#size * OVERHEAD_BYTES
  }

  /** Removes all texts, which invalidates their codes. */
  clear(): void {
    this.#size = 0
    this.#index.fill(0)
    this.#texts = []
  }

  #holds(code: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes
    let at = this.#starts[code]!
    if (this.#starts[code + 1]! - at !== end - start) return false
    for (let p = start; p < end; p++, at++) if (own[at] !== bytes[p]) return false
    return true
  }

  #add(place: number, hash: number, bytes: Uint8Array, start: number, end: number): number {
    if (this.#size === this.#hashes.length) {
      this.#grow()
      return this.intern(bytes, start, end)
    }
    const code = this.#size++
    const at = this.#starts[code]!
    const next = at + end - start
    if (next > this.#bytes.length) this.#bytes = enlarged(this.#bytes, new Uint8Array(next * 2))
    this.#bytes.set(bytes.subarray(start, end), at)
    this.#starts[code + 1] = next
    this.#hashes[code] = hash
    this.#index[place] = code + 1
    return code
  }

  #grow(): void {
    const texts = this.#size * 2
    this.#starts = enlarged(this.#starts, new Int32Array(texts + 1))
    this.#hashes = enlarged(this.#hashes, new Int32Array(texts))
    this.#index = new Int32Array(texts * 2)
    const mask = this.#index.length - 1
    for (let code = 0; code < this.#size; code++) {
      let place = this.#hashes[code]! & mask
      while (this.#index[place] !== 0) place = (place + 1) & mask
      this.#index[place] = code + 1
    }
  }
}

/** FNV-1a, then mixed: linear probing needs the low bits to depend on all bytes. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let p = start; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
  return hash ^ (hash >>> 13)
}

function enlarged<T extends Int32Array | Uint8Array>(old: T, bigger: T): T {
  bigger.set(old)
  return bigger
}
