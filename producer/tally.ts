/** The books of a load run: what was sent, of which kind, and what the broker said about it. */
import type { Made } from './generator.ts'
import type { Journal } from './journal.ts'
import { type Ledger, type Outgoing, reasonOf } from './lanes.ts'
import type { SendSpan } from './tracing.ts'

export type LoadRecord = Outgoing & { kind: Made['kind']; span?: SendSpan }

const MAX_ERRORS = 5

export class Tally implements Ledger<LoadRecord> {
  sent = 0
  acknowledged = 0
  /** Sent, but Kafka refused them or the run ended before it answered: they may or may not be in the log. */
  unknown = 0
  readonly perKind: Record<Made['kind'], number> = { normal: 0, disorder: 0, late: 0, duplicate: 0, malformed: 0 }
  /** Record timestamps, ms since the epoch; null while nothing was sent. */
  firstAt: number | null = null
  lastAt: number | null = null
  readonly errors = new Set<string>()
  readonly #journal: Journal | null
  /** Batches under way and their number in the journal. */
  readonly #numbers = new Map<LoadRecord[], number>()

  constructor(journal: Journal | null) {
    this.#journal = journal
  }

  onSending(records: LoadRecord[]): void {
    if (this.#journal) this.#numbers.set(records, this.#journal.sending(records))
    this.sent += records.length
    for (const { kind, timestamp } of records) {
      this.perKind[kind]++
      this.firstAt = Math.min(this.firstAt ?? timestamp, timestamp)
      this.lastAt = Math.max(this.lastAt ?? timestamp, timestamp)
    }
  }

  onAcknowledged(records: LoadRecord[], partition: number, offset: number): void {
    this.acknowledged += records.length
    this.#journal?.acknowledged(this.#numbers.get(records)!, records.length, partition, offset)
    this.#numbers.delete(records)
    records.forEach((record, i) => {
      record.span?.acknowledged(partition, offset + i)
    })
  }

  close(): void {
    this.#journal?.close()
  }

  onFailed(records: LoadRecord[], _partition: number, error: Error): void {
    this.unknown += records.length
    this.#numbers.delete(records)
    if (this.errors.size < MAX_ERRORS) this.errors.add(reasonOf(error))
    for (const { span } of records) span?.failed(error)
  }
}
