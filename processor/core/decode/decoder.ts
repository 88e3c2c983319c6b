/**
 * From the bytes of a record to what the engine counts (contract, sections 5 to 8). Two roads lead there: a scanner for
 * ordinary events, and a parser for all others, which alone finds records dead.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Amount } from '../exact.ts'
import type { Interner } from './interner.ts'
import { Outputs } from './outputs.ts'
import { type DecodeFault, Parser } from './parse/parser.ts'
import { Scanner } from './scan/scanner.ts'

export type { DecodeFault } from './parse/parser.ts'

export class Decoder {
  readonly #out: Outputs
  readonly #parser: Parser
  readonly #scanner: Scanner | null
  #scanned = false

  constructor(compiled: CompiledSpec, strings: Interner) {
    this.#out = new Outputs(compiled.fields.length)
    this.#parser = new Parser(compiled, strings, this.#out)
    this.#scanner = Scanner.suits(compiled) ? new Scanner(compiled, strings, this.#out) : null
  }

  /**
   * Decodes bytes[start, end). Null: good, and everything below is set until the next call. Else why it is dead.
   * `recordTimestamp` (ms): how far ahead the event's own time may be is measured from it.
   */
  decode(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    return this.scan(bytes, start, end, recordTimestamp) ? null : this.parse(bytes, start, end, recordTimestamp)
  }

  /** The fast road alone. False: it cannot tell, and nothing is set. */
  scan(bytes: Buffer, start: number, end: number, recordTimestamp: number): boolean {
    this.#scanned = this.#scanner?.scan(bytes, start, end, recordTimestamp) ?? false
    return this.#scanned
  }

  /** The slow road alone. */
  parse(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    this.#scanned = false
    return this.#parser.parse(bytes, start, end, recordTimestamp)
  }

  /** Event time in ms, floored. */
  get time(): number {
    return this.#out.time
  }

  /** 128-bit hash of the id; only with deduplication. */
  get id(): Int32Array {
    return this.#out.id
  }

  /** 1 without explode. */
  get lines(): number {
    return this.#out.lines
  }

  /** By field of the compiled spec: the interned canonical text of key fields. */
  get codes(): Int32Array {
    return this.#out.codes
  }

  /** By field of the compiled spec: number and decimal values, scaled by 10^scale; 0 for other fields. */
  get amounts(): Amount[] {
    return this.#out.amounts
  }

  /** Sets codes, amounts and texts of the fields that stand in lines. Nothing to do without explode. */
  selectLine(line: number): void {
    if (!this.#scanned) this.#parser.selectLine(line)
  }

  /** Canonical text of a field, for the raw table; null where an optional field is absent. */
  text(field: number): string | null {
    return this.#scanned ? this.#scanner!.text(field) : this.#parser.text(field)
  }
}
