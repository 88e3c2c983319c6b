/** Effects that a partition gathered since its last commit, except the aggregate rows. */
import type { BatchCursor } from './batches.ts'
import type { AggregateRows, AggregationCounters, DeadLetter, LateEvent, PartitionCommit, RawSale } from './commit.ts'
import type { FarBehind } from './far-behind.ts'
import { type Lead, Support } from './support.ts'

/** One partition's part of a commit, frozen: retried unchanged, or dropped whole with its partition. */
export type Share = {
  commit: PartitionCommit
  aggregates: AggregateRows[]
  late: LateEvent[]
  dead: DeadLetter[]
  raw: RawSale[]
  /** When the data records were created (ms), where known: the raw samples of the end-to-end delay. */
  createdAt: number[]
  traces: string[]
  /** Records whose event time is more than maxPastSkew before their timestamp; null: none. */
  farBehind: FarBehind | null
  support: Support
  /** Null: this worker has read no record that moves the watermark. */
  lead: Lead | null
  /** Offset of the newest data record, also if only some of its lines are in the share; −1: none. */
  lastOffset: number
}

export function noCounters(): AggregationCounters {
  return { late: 0, onTime: 0, partlyLate: 0, missedWindows: 0, added: 0, missed: 0 }
}

/** Returns the number of records of which the share has all or some lines. */
export function recordsIn({ commit: { counters, nextLine } }: Share): number {
  return counters.records + (nextLine > 0 ? 1 : 0)
}

/** A sampled trace context; of later format versions, the known part. Strict: any sender may write this header. */
const TRACEPARENT = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f][13579bdf](?=-|$)/
const EPOCH_MS = /^\d{1,15}$/

export class Pending {
  readonly fromOffset: number
  readonly fromLine: number
  readonly counters = { records: 0, dead: 0, duplicate: 0, accepted: 0 }
  readonly aggregations: AggregationCounters[]
  readonly late: LateEvent[] = []
  readonly dead: DeadLetter[] = []
  readonly raw: RawSale[] = []
  readonly createdAt: number[] = []
  readonly traces: string[] = []
  farBehind: FarBehind | null = null
  readonly support = new Support()
  bytes = 0
  lastOffset = -1
  firstEventTime: number | null = null

  constructor(fromOffset: number, fromLine: number, aggregations: number) {
    this.fromOffset = fromOffset
    this.fromLine = fromLine
    this.aggregations = Array.from({ length: aggregations }, noCounters)
  }

  /** Notes the record's creation time and trace. Where brokers set the timestamp, the header sent-at has the time. */
  noteOrigin(cursor: BatchCursor): void {
    const { timestamp, isAppendTime } = cursor
    let createdAt = isAppendTime ? -1 : timestamp
    if (cursor.headerCount > 0)
      for (const [name, value] of cursor.headers())
        if (name === 'traceparent') this.traces.push(...(TRACEPARENT.exec(value) ?? []))
        else if (name === 'sent-at' && isAppendTime && EPOCH_MS.test(value)) createdAt = Number(value)
    if (createdAt >= 0) this.createdAt.push(createdAt)
  }

  /** Counts a record with an event time long before its timestamp. */
  noteFarBehind(partition: number, { offset, timestamp }: BatchCursor, eventTime: number): void {
    this.farBehind ??= { records: 0, partition, offset, eventTime, recordTimestamp: timestamp }
    this.farBehind.records++
  }

  effects(): Omit<Share, 'commit' | 'aggregates' | 'lead'> {
    const { late, dead, raw, createdAt, traces, farBehind, support, lastOffset } = this
    return { late, dead, raw, createdAt, traces, farBehind, support, lastOffset }
  }
}
