/** Counts the records of a load run by kind and by the broker's response. */
import { kafkaText } from '#common/kafka-text.ts'
import type { GeneratedEvent } from './generator.ts'
import type { Ledger, Outgoing } from './lanes.ts'
import type { SendSpan } from './tracing.ts'

export type LoadRecord = Outgoing & { kind: GeneratedEvent['kind']; span?: SendSpan }

const MAX_ERRORS = 5

export class Tally implements Ledger<LoadRecord> {
  sent = 0
  acknowledged = 0
  /** Sent, but Kafka rejected them or the run ended before a response: they may or may not be in the log. */
  unknown = 0
  readonly perKind: Record<GeneratedEvent['kind'], number> = {
    normal: 0,
    disorder: 0,
    late: 0,
    duplicate: 0,
    malformed: 0,
  }
  /** Record timestamps, ms since the epoch; null before the first record. */
  firstAt: number | null = null
  lastAt: number | null = null
  readonly errors = new Set<string>()

  onSending(records: LoadRecord[]): void {
    this.sent += records.length
    for (const { kind, timestamp } of records) {
      this.perKind[kind]++
      this.firstAt = Math.min(this.firstAt ?? timestamp, timestamp)
      this.lastAt = Math.max(this.lastAt ?? timestamp, timestamp)
    }
  }

  onAcknowledged(records: LoadRecord[], partition: number, offset: number): void {
    this.acknowledged += records.length
    records.forEach((record, i) => {
      record.span?.acknowledged(partition, offset + i)
    })
  }

  onFailed(records: LoadRecord[], _partition: number, error: Error): void {
    this.unknown += records.length
    if (this.errors.size < MAX_ERRORS) this.errors.add(kafkaText(error))
    for (const { span } of records) span?.failed(error)
  }
}
