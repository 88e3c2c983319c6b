/** Output of both decoder paths for one record, valid until the next. Fields are those of the compiled spec. */
import type { Amount } from '../exact.ts'

export class Outputs {
  /** Event time in ms, floored. */
  time = 0
  /** Hash of the id; only with deduplication. */
  readonly id = new Int32Array(4)
  /** 1 without explode. */
  lines = 1
  /** Interned codes of the key fields. */
  readonly codes: Int32Array
  /** Number and decimal fields, scaled; 0 for the others. */
  readonly amounts: Amount[]

  constructor(fields: number) {
    this.codes = new Int32Array(fields)
    this.amounts = new Array<Amount>(fields).fill(0)
  }
}
