/**
 * The ids that a partition has seen, by 128-bit hash, in order of their last sighting (contract, section 6).
 * Open addressing over typed arrays: 48 bytes per id, no objects, nothing for the garbage collector to walk.
 */

const NONE = -1
const FIRST_CAPACITY = 1024

export class SeenIds {
  size = 0
  /** Ids forgotten because of maxIds while still inside the horizon. Above zero, duplicates may be missed. */
  forgottenEarly = 0

  #capacity = FIRST_CAPACITY
  #hashes = new Int32Array(FIRST_CAPACITY * 4)
  #offsets = new Float64Array(FIRST_CAPACITY)
  #maxTimes = new Float64Array(FIRST_CAPACITY)
  #newer = new Int32Array(FIRST_CAPACITY)
  #older = new Int32Array(FIRST_CAPACITY)
  /** Twice the capacity, so that probes stay short; holds entry + 1, 0 is free. */
  #index = new Int32Array(FIRST_CAPACITY * 2)
  #free: number[] = []
  #used = 0
  #oldest = NONE
  #newest = NONE

  /**
   * Notes a sighting. Returns true when the id is remembered, which makes this record a duplicate.
   * `maxTime`: M(r), the greatest event time up to and including this record; it never decreases. `maxIds`: the limit of
   * the generation that judges this record; what an earlier record's limit forgot stays forgotten.
   */
  sight(id: Int32Array, offset: number, maxTime: number, maxIds: number): boolean {
    this.#forgetBeyond(maxIds)
    const place = this.#find(id)
    const entry = this.#index[place]! - 1
    if (entry !== NONE) {
      this.#unlink(entry)
      this.#append(entry, offset, maxTime)
      return true
    }
    this.#insert(place, id, offset, maxTime)
    this.#forgetBeyond(maxIds)
    return false
  }

  #forgetBeyond(maxIds: number): void {
    for (; this.size > maxIds; this.forgottenEarly++) this.#remove(this.#oldest)
  }

  /** Forgets ids whose last sighting lies more than `horizon` ms of event time behind `maxTime`. */
  forget(maxTime: number, horizon: number): void {
    while (this.#oldest !== NONE && maxTime - this.#maxTimes[this.#oldest]! > horizon) this.#remove(this.#oldest)
  }

  /** Returns where the oldest remembered id was last seen; reading from there rebuilds the set. Null when empty. */
  oldest(): { offset: number; maxTime: number } | null {
    if (this.#oldest === NONE) return null
    return { offset: this.#offsets[this.#oldest]!, maxTime: this.#maxTimes[this.#oldest]! }
  }

  /** Returns the place of `id` in the index, or the free place where it belongs. */
  #find(id: Int32Array): number {
    const mask = this.#index.length - 1
    const hashes = this.#hashes
    for (let place = id[0]! & mask; ; place = (place + 1) & mask) {
      const entry = this.#index[place]! - 1
      if (entry === NONE) return place
      const at = entry * 4
      if (hashes[at] === id[0] && hashes[at + 1] === id[1] && hashes[at + 2] === id[2] && hashes[at + 3] === id[3])
        return place
    }
  }

  #insert(place: number, id: Int32Array, offset: number, maxTime: number): void {
    if (this.size === this.#capacity) {
      this.#grow()
      place = this.#find(id)
    }
    const entry = this.#free.pop() ?? this.#used++
    this.#hashes.set(id, entry * 4)
    this.#index[place] = entry + 1
    this.size++
    this.#append(entry, offset, maxTime)
  }

  #remove(entry: number): void {
    this.#unlink(entry)
    this.#free.push(entry)
    this.size--
    this.#removeFromIndex(entry)
  }

  /** Backward-shift deletion: no tombstones, so probes stay short however many ids come and go. */
  #removeFromIndex(entry: number): void {
    const index = this.#index
    const mask = index.length - 1
    let hole = this.#hashes[entry * 4]! & mask
    while (index[hole] !== entry + 1) hole = (hole + 1) & mask
    for (let place = (hole + 1) & mask; index[place] !== 0; place = (place + 1) & mask) {
      const home = this.#hashes[(index[place]! - 1) * 4]! & mask
      // It may fill the hole only if its home is not cyclically between the hole and its place.
      if (((place - home) & mask) >= ((place - hole) & mask)) {
        index[hole] = index[place]!
        hole = place
      }
    }
    index[hole] = 0
  }

  #append(entry: number, offset: number, maxTime: number): void {
    this.#offsets[entry] = offset
    this.#maxTimes[entry] = maxTime
    this.#older[entry] = this.#newest
    this.#newer[entry] = NONE
    if (this.#newest === NONE) this.#oldest = entry
    else this.#newer[this.#newest] = entry
    this.#newest = entry
  }

  #unlink(entry: number): void {
    const older = this.#older[entry]!
    const newer = this.#newer[entry]!
    if (older === NONE) this.#oldest = newer
    else this.#newer[older] = newer
    if (newer === NONE) this.#newest = older
    else this.#older[newer] = older
  }

  #grow(): void {
    const capacity = this.#capacity * 2
    this.#hashes = copyInto(new Int32Array(capacity * 4), this.#hashes)
    this.#offsets = copyInto(new Float64Array(capacity), this.#offsets)
    this.#maxTimes = copyInto(new Float64Array(capacity), this.#maxTimes)
    this.#newer = copyInto(new Int32Array(capacity), this.#newer)
    this.#older = copyInto(new Int32Array(capacity), this.#older)
    this.#capacity = capacity
    this.#index = new Int32Array(capacity * 2)
    const mask = this.#index.length - 1
    for (let entry = this.#oldest; entry !== NONE; entry = this.#newer[entry]!) {
      let place = this.#hashes[entry * 4]! & mask
      while (this.#index[place] !== 0) place = (place + 1) & mask
      this.#index[place] = entry + 1
    }
  }
}

function copyInto<T extends Int32Array | Float64Array>(target: T, source: T): T {
  target.set(source)
  return target
}
