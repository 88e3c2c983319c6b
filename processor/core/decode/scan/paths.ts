/**
 * The paths that a plan reads, as a tree of keys in typed arrays, for the scanner. Node 0 is the event itself; every
 * other node is a key inside its parent's object. A node's children stand in a small hash table of their own.
 */

/** Who reads a value: a field by its index, or one of these. */
export const ID = -1
export const TIME = -2

type Branch = { key: string; children: Map<string, Branch>; readers: number[] }

export class Paths {
  /** Nodes in all; node numbers are below it. */
  readonly size: number
  /** Readers of node n: readers[firstReader[n]] … readers[firstReader[n + 1] − 1]. */
  readonly firstReader: Int32Array
  readonly readers: Int32Array
  readonly #keys: Uint8Array
  readonly #keyStart: Int32Array
  readonly #keyEnd: Int32Array
  readonly #slots: Int32Array
  readonly #firstSlot: Int32Array
  readonly #slotMask: Int32Array

  constructor(paths: { path: string[]; reader: number }[]) {
    const nodes = flatten(paths)
    const bytes = nodes.map(node => Buffer.from(node.key))
    const tables = nodes.map(node => tableSize(node.children.size))
    this.size = nodes.length
    this.readers = Int32Array.from(nodes.flatMap(node => node.readers))
    this.firstReader = runningSum(nodes.map(node => node.readers.length))
    this.#keys = Buffer.concat(bytes)
    this.#keyStart = runningSum(bytes.map(key => key.length))
    this.#keyEnd = this.#keyStart.subarray(1)
    this.#firstSlot = runningSum(tables)
    this.#slotMask = Int32Array.from(tables, size => size - 1)
    this.#slots = new Int32Array(this.#firstSlot.at(-1)!)
    nodes.forEach((node, n) => {
      for (const child of node.children.values()) this.#place(n, nodes.indexOf(child))
    })
  }

  /** The child of `node` whose key is bytes[start, end); 0: none. */
  child(node: number, bytes: Buffer, start: number, end: number): number {
    const first = this.#firstSlot[node]!
    const mask = this.#slotMask[node]!
    for (let slot = hashOf(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const child = this.#slots[first + slot]!
      if (child === 0 || this.#isKey(child, bytes, start, end)) return child
    }
  }

  #isKey(node: number, bytes: Buffer, start: number, end: number): boolean {
    let at = this.#keyStart[node]!
    if (this.#keyEnd[node]! - at !== end - start) return false
    for (let p = start; p < end; p++, at++) if (this.#keys[at] !== bytes[p]) return false
    return true
  }

  #place(parent: number, child: number): void {
    const first = this.#firstSlot[parent]!
    const mask = this.#slotMask[parent]!
    let slot = hashOf(this.#keys, this.#keyStart[child]!, this.#keyEnd[child]!) & mask
    while (this.#slots[first + slot] !== 0) slot = (slot + 1) & mask
    this.#slots[first + slot] = child
  }
}

/** Length and two bytes tell the keys of one object apart well enough; the whole key is compared anyway. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return 0
  return (end - start) * 7 + bytes[start]! * 31 + bytes[end - 1]!
}

/** Parents before children; the event itself first. */
function flatten(paths: { path: string[]; reader: number }[]): Branch[] {
  const root: Branch = { key: '', children: new Map(), readers: [] }
  const nodes = [root]
  for (const { path, reader } of paths) {
    let branch = root
    for (const key of path) {
      let next = branch.children.get(key)
      if (next === undefined) {
        next = { key, children: new Map(), readers: [] }
        branch.children.set(key, next)
        nodes.push(next)
      }
      branch = next
    }
    branch.readers.push(reader)
  }
  return nodes
}

/** A power of two, at most half full, so that a probe always ends. */
function tableSize(children: number): number {
  let size = 2
  while (size < children * 4) size *= 2
  return size
}

/** [a, b, c] → [0, a, a + b, a + b + c] */
function runningSum(lengths: number[]): Int32Array {
  const sums = new Int32Array(lengths.length + 1)
  lengths.forEach((length, i) => {
    sums[i + 1] = sums[i]! + length
  })
  return sums
}
