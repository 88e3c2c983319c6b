/**
 * The keys of the last event in the order in which they came: the next event has most likely the same. Then one
 * comparison of bytes finds a key with its quotes, colon and blanks, instead of a scan, a look-up and a comparison.
 */

const TURNS = 64
/** Stands for all turns that are too many to be remembered. */
export const LAST_TURN = TURNS - 1
/** Of a key with what surrounds it; longer ones are not remembered. */
const LENGTH = 64

export class KeyMemo {
  /** By turn: how many bytes it is to the value; 0: nothing is known. */
  readonly lengths = new Int32Array(TURNS)
  /** By turn: the node that the key leads to; 0: none. */
  readonly children = new Int32Array(TURNS)
  readonly #nodes = new Int32Array(TURNS)
  readonly #bytes = new Uint8Array(TURNS * LENGTH)

  /** Do the bytes at p, inside the object of `node`, spell the key that the last event had at this turn? */
  matches(turn: number, node: number, bytes: Buffer, p: number, last: number): boolean {
    if (this.#nodes[turn] !== node) return false
    const length = this.lengths[turn]!
    if (length === 0 || p + length > last) return false
    const own = this.#bytes
    p |= 0
    const end = (p + length) | 0
    for (let at = (turn * LENGTH) | 0; p < end; p = (p + 1) | 0, at = (at + 1) | 0)
      if (own[at] !== bytes[p]) return false
    return true
  }

  /** bytes[start, end): from the key's opening quote to its value. */
  learn(turn: number, node: number, child: number, bytes: Buffer, start: number, end: number): void {
    const fits = end - start <= LENGTH && turn < LAST_TURN
    this.lengths[turn] = fits ? end - start : 0
    this.children[turn] = child
    this.#nodes[turn] = node
    if (fits) this.#bytes.set(bytes.subarray(start, end), turn * LENGTH)
  }
}
