/** Repeatable random numbers: event i draws the same numbers from the same seed, regardless of earlier draws. */

const GOLDEN = 0x9e3779b9

/** mulberry32 with a separate sequence for every index. */
export class Dice {
  readonly #seed: number
  #state = 0

  /** Two dice with the same seed and different salts are independent. */
  constructor(seed: number, salt: number) {
    this.#seed = mix(fold(seed) ^ Math.imul(salt + 1, GOLDEN))
  }

  /** Starts the sequence of event `index`. */
  seek(index: number): this {
    this.#state = mix(this.#seed ^ mix(fold(index)))
    return this
  }

  /** Returns a number that is uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** Returns a whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)]!
  }
}

/** Distribution of ranks 0 … n − 1: rank r has weight 1 / (r + 1)^exponent. Exponent 0 is uniform. */
export class Zipf {
  readonly #cumulative: Float64Array

  constructor(n: number, exponent: number) {
    this.#cumulative = new Float64Array(n)
    let sum = 0
    for (let rank = 0; rank < n; rank++) this.#cumulative[rank] = sum += (rank + 1) ** -exponent
  }

  /** `u` is uniform in [0, 1). */
  rank(u: number): number {
    const cumulative = this.#cumulative
    const target = u * cumulative[cumulative.length - 1]!
    let low = 0
    let high = cumulative.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (cumulative[middle]! > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Hashes a whole number up to 2^53 to 32 bits. */
function fold(n: number): number {
  return (n | 0) ^ Math.imul(Math.floor(n / 2 ** 32), GOLDEN)
}

/** The finaliser of MurmurHash3: every input bit reaches every output bit. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
