/**
 * Increments of one aggregation in one partition since the last commit: rows by (window start, key codes), found by
 * open addressing over typed arrays, with one array of amounts per column.
 */
import type { CompiledAggregation, CompiledField } from '#pipeline/compiled-spec.ts'
import type { AggregateRows } from './commit.ts'
import type { Interner } from './decode/interner.ts'
import type { Amount } from './exact.ts'
import { type Evaluate, evaluatorOf } from './measure.ts'
import { mergeAmount } from './merge.ts'

const FIRST_ROWS = 256

type Merge = 'add' | 'min' | 'max'

export class DeltaTable {
  size = 0
  /** Field indices of the group-by, and the codes of each row's values: size × keys.length. */
  readonly #keys: number[]
  #codes: Int32Array
  #starts = new Float64Array(FIRST_ROWS)
  #hashes = new Int32Array(FIRST_ROWS)
  /** Holds row + 1; 0 is free. */
  #index = new Int32Array(FIRST_ROWS * 2)
  /** Last record that touched the row: columns with `per: events` add a record once, however many lines it has. */
  #lastOffset = new Float64Array(FIRST_ROWS)
  #columns: Amount[][]
  readonly #evaluate: (Evaluate | null)[]
  readonly #merges: Merge[]
  /**
   * By column: adds each event once. Not for min and max: the value is the same on all lines, so taking it again changes
   * nothing.
   */
  readonly #addsEvents: boolean[]
  /** Keys of the current record's lines that an earlier commit counted; null: none. */
  #counted: Set<string> | null = null
  /** This line's value of each column, evaluated once however many windows it goes into; counts stay 1. */
  readonly #values: Amount[]

  constructor(aggregation: CompiledAggregation, fields: CompiledField[]) {
    this.#keys = aggregation.keys
    this.#codes = new Int32Array(FIRST_ROWS * aggregation.keys.length)
    this.#columns = aggregation.columns.map(() => [])
    this.#evaluate = aggregation.columns.map(c => (c.source === 'count' ? null : evaluatorOf(c, fields)))
    this.#merges = aggregation.columns.map(c => c.merge)
    this.#addsEvents = aggregation.columns.map(c => c.per === 'events' && c.merge === 'add')
    this.#values = aggregation.columns.map(() => 1)
  }

  get addsEvents(): boolean {
    return this.#addsEvents.includes(true)
  }

  /** Notes that an earlier commit counted a line of the current record with this key. */
  noteCounted(codes: Int32Array): void {
    this.#counted ??= new Set()
    this.#counted.add(this.#keyOf(codes))
  }

  /** Forgets these lines at the end of the record. */
  forgetCounted(): void {
    this.#counted = null
  }

  /** Evaluates the columns for one line; `addTo` then adds it to each of its windows. */
  prepare(amounts: Amount[]): void {
    for (let c = 0; c < this.#evaluate.length; c++) {
      const evaluate = this.#evaluate[c]
      if (evaluate) this.#values[c] = evaluate(amounts)
    }
  }

  addTo(windowStart: number, codes: Int32Array, offset: number): void {
    const row = this.#rowOf(windowStart, codes)
    const firstLine = this.#lastOffset[row] !== offset && !this.#counted?.has(this.#keyOf(codes))
    this.#lastOffset[row] = offset
    for (let c = 0; c < this.#columns.length; c++) {
      const column = this.#columns[c]!
      if (!firstLine && this.#addsEvents[c]) column[row] ??= 0
      else column[row] = mergeAmount(this.#merges[c]!, column[row], this.#values[c]!)
    }
  }

  /** Returns the rows, with their keys as text, and empties the table. */
  take(aggregation: number, strings: Interner): AggregateRows {
    const { size } = this
    const width = this.#keys.length
    const keys = this.#keys.map((_, k) =>
      Array.from({ length: size }, (_, row) => strings.text(this.#codes[row * width + k]!)),
    )
    const rows = { aggregation, windowStart: Array.from(this.#starts.subarray(0, size)), keys, columns: this.#columns }
    this.#columns = this.#columns.map(() => [])
    this.#index.fill(0)
    this.size = 0
    return rows
  }

  #keyOf(codes: Int32Array): string {
    return this.#keys.map(field => codes[field]).join()
  }

  #rowOf(windowStart: number, codes: Int32Array): number {
    const hash = this.#hash(windowStart, codes)
    const mask = this.#index.length - 1
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const row = this.#index[place]! - 1
      if (row < 0) return this.#addRow(place, hash, windowStart, codes)
      if (this.#starts[row] === windowStart && this.#sameKey(row, codes)) return row
    }
  }

  #hash(windowStart: number, codes: Int32Array): number {
    const keys = this.#keys
    // -Infinity (all time) becomes 0 here, which is as good as any constant.
    let hash = Math.imul(windowStart | 0, 0x9e3779b1) ^ ((windowStart / 2 ** 32) | 0)
    for (let k = 0; k < keys.length; k++) hash = Math.imul(hash ^ codes[keys[k]!]!, 0x85ebca6b) ^ (hash >>> 15)
    hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35)
    return hash ^ (hash >>> 13)
  }

  #sameKey(row: number, codes: Int32Array): boolean {
    const keys = this.#keys
    for (let k = 0, at = row * keys.length; k < keys.length; k++, at++)
      if (this.#codes[at] !== codes[keys[k]!]) return false
    return true
  }

  #addRow(place: number, hash: number, windowStart: number, codes: Int32Array): number {
    if (this.size === this.#starts.length) {
      this.#grow()
      return this.#rowOf(windowStart, codes)
    }
    const row = this.size++
    this.#index[place] = row + 1
    this.#hashes[row] = hash
    this.#starts[row] = windowStart
    this.#lastOffset[row] = -1
    const keys = this.#keys
    for (let k = 0, at = row * keys.length; k < keys.length; k++, at++) this.#codes[at] = codes[keys[k]!]!
    return row
  }

  #grow(): void {
    const rows = this.#starts.length * 2
    this.#starts = enlarged(this.#starts, new Float64Array(rows))
    this.#lastOffset = enlarged(this.#lastOffset, new Float64Array(rows))
    this.#hashes = enlarged(this.#hashes, new Int32Array(rows))
    this.#codes = enlarged(this.#codes, new Int32Array(rows * this.#keys.length))
    this.#index = new Int32Array(rows * 2)
    const mask = this.#index.length - 1
    for (let row = 0; row < this.size; row++) {
      let place = this.#hashes[row]! & mask
      while (this.#index[place] !== 0) place = (place + 1) & mask
      this.#index[place] = row + 1
    }
  }
}

function enlarged<T extends Int32Array | Float64Array>(old: T, bigger: T): T {
  bigger.set(old)
  return bigger
}
