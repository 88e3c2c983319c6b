/** The journal of records that are about to be sent and of acknowledged ones (docs/tables.md, "The journal"). */
import { hash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { namingFile } from '#common/files.ts'
import type { Ledger, Outgoing } from './lanes.ts'

type Bytes = { key: Buffer | null; value: Buffer | null }

const EMPTY = Buffer.alloc(0)
const SEPARATOR = Buffer.of(0)
const NULL = Buffer.from('null')

/** One file per process. Every line is written to the system before the call returns, so a killed process loses none. */
export class Journal {
  readonly path: string
  readonly #file: number
  #written = 0

  /** Creates the folder and the file. Throws FileError. */
  constructor(folder: string, now = Date.now()) {
    this.path = join(folder, `${now}-${process.pid}.jsonl`)
    this.#file = namingFile('write', this.path, () => {
      mkdirSync(folder, { recursive: true })
      return openSync(this.path, 'ax')
    })
  }

  /** Call this before sending the records. Returns the number of the first record. */
  sending(records: Bytes[]): number {
    const first = this.#written
    this.#written += records.length
    this.#append(['s', first, records.map(recordHash)])
    return first
  }

  /** The `count` records that `sending` numbered from `first` are in the log from `offset` on, without gaps. */
  acknowledged(first: number, count: number, partition: number, offset: number): void {
    this.#append(['a', first, partition, offset, Array.from({ length: count }, (_, i) => i)])
  }

  close(): void {
    closeSync(this.#file)
  }

  #append(line: unknown[]): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
  }
}

/** Returns a ledger that also writes each batch to the journal, before it is sent and when it is acknowledged. */
export function journalled<R extends Outgoing>(ledger: Ledger<R>, journal: Journal): Ledger<R> {
  const numbers = new Map<R[], number>()
  return {
    onSending(records) {
      numbers.set(records, journal.sending(records))
      ledger.onSending(records)
    },
    onAcknowledged(records, partition, offset) {
      journal.acknowledged(numbers.get(records)!, records.length, partition, offset)
      numbers.delete(records)
      ledger.onAcknowledged(records, partition, offset)
    },
    onFailed(records, partition, error) {
      numbers.delete(records)
      ledger.onFailed(records, partition, error)
    },
  }
}

function recordHash({ key, value }: Bytes): string {
  return hash('sha256', Buffer.concat([key ?? EMPTY, SEPARATOR, value ?? NULL])).slice(0, 16)
}
