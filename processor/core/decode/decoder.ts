/**
 * Decodes the bytes of a record into what the engine counts (contract, sections 5 to 8). There are two paths: a scanner
 * for ordinary events, and a parser for all others. Only the parser declares records dead.
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
   * Decodes bytes[start, end). Returns null for a good record, and sets everything below until the next call; otherwise
   * returns why it is dead. `recordTimestamp` (ms) limits how far ahead the event's time may be.
   */
  decode(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    return this.scan(bytes, start, end, recordTimestamp) ? null : this.parse(bytes, start, end, recordTimestamp)
  }

  /** Tries the fast path alone. Returns false when it cannot decide; the values below are then undefined. */
  scan(bytes: Buffer, start: number, end: number, recordTimestamp: number): boolean {
    this.#scanned = this.#scanner?.scan(bytes, start, end, recordTimestamp) ?? false
    return this.#scanned
  }

  /** Uses the slow path alone. */
  parse(bytes: Buffer, start: number, end: number, recordTimestamp: number): DecodeFault | null {
    this.#scanned = false
    return this.#parser.parse(bytes, start, end, recordTimestamp)
  }

  /** Describes the fault that `decode` returned last, for people; null if only the bytes explain it. */
  describe(fault: DecodeFault): string | null {
    return this.#parser.describe(fault)
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

  /** By field of the compiled spec: codes of the interned canonical text of key fields. */
  get codes(): Int32Array {
    return this.#out.codes
  }

  /** By field of the compiled spec: number and decimal values, scaled by 10^scale; 0 for other fields. */
  get amounts(): Amount[] {
    return this.#out.amounts
  }

  /** Sets codes, amounts and texts of the line fields. Does nothing without explode. */
  selectLine(line: number): void {
    if (!this.#scanned) this.#parser.selectLine(line)
  }

  /** Returns the canonical text of a field, for the raw table; null when an optional field is absent. */
  text(field: number): string | null {
    return this.#scanned ? this.#scanner!.text(field) : this.#parser.text(field)
  }
}
