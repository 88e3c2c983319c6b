/**
 * Remembers the keys of the last event in their order: the next event most likely has the same. One comparison of bytes
 * then matches a key with its quotes, colon and spaces, instead of a scan and a lookup.
 */
import type { Place } from './place.ts'

/** Bytes of a key with its quotes, colon and spaces; longer ones are not remembered. */
const MAX_LENGTH = 64
/** Bytes are compared four at a time; nothing shorter is remembered. */
const WORD = 4

/** The key at one position in the event. */
export class KeyMemo {
  /** The object that the key is in; null: nothing is remembered. */
  #parent: Place | null = null
  #view = new DataView(new ArrayBuffer(MAX_LENGTH))
  /** Bytes from the key's opening quote to its value. */
  length = 0
  /** The place of the key's value; null: the value is not read. */
  child: Place | null = null

  /** Returns whether the bytes at p, inside the object of `parent`, are this key. `last`: as in skip.ts. */
  matches(parent: Place, view: DataView, p: number, last: number): boolean {
    const tail = (this.length - WORD) | 0
    if (this.#parent !== parent || p + this.length > last) return false
    const own = this.#view
    p |= 0
    for (let at = 0; at < tail; at = (at + WORD) | 0)
      if (own.getInt32(at, true) !== view.getInt32((p + at) | 0, true)) return false
    // The last word overlaps the one before it, unless they just fit.
    return own.getInt32(tail, true) === view.getInt32((p + tail) | 0, true)
  }

  /** Remembers bytes[start, end): from the key's opening quote to its value. */
  learn(parent: Place, child: Place | null, bytes: Buffer, start: number, end: number): void {
    this.child = child
    this.length = end - start
    const fits = this.length >= WORD && this.length <= MAX_LENGTH
    this.#parent = fits ? parent : null
    if (fits) for (let i = 0; i < this.length; i++) this.#view.setUint8(i, bytes[start + i]!)
  }
}
