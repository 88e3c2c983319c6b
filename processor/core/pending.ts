/** What a partition gathered since its last commit, beside the aggregate rows. */
import type { BatchCursor } from './batches.ts'
import type { AggregateRows, AggregationCounters, DeadLetter, LateEvent, PartitionCommit, RawSale } from './commit.ts'

/** One partition's part of a commit, frozen: retried as it is, or dropped whole with its partition. */
export type Share = {
  commit: PartitionCommit
  aggregates: AggregateRows[]
  late: LateEvent[]
  dead: DeadLetter[]
  raw: RawSale[]
  /** When the data records were made (ms), where that is known: the raw samples of the end-to-end delay. */
  createdAt: number[]
  traces: string[]
  /** The newest data record in it; −1: none. */
  lastOffset: number
}

/** Of a trace that is recorded. Of later versions of the format the known part. Anybody may write a header. */
const TRACEPARENT = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f][13579bdf](?=-|$)/
const EPOCH_MS = /^\d{1,15}$/

export class Pending {
  readonly fromOffset: number
  readonly counters = { records: 0, dead: 0, duplicate: 0, accepted: 0 }
  readonly aggregations: AggregationCounters[]
  readonly late: LateEvent[] = []
  readonly dead: DeadLetter[] = []
  readonly raw: RawSale[] = []
  readonly createdAt: number[] = []
  readonly traces: string[] = []
  bytes = 0
  lastOffset = -1

  constructor(fromOffset: number, aggregations: number) {
    this.fromOffset = fromOffset
    this.aggregations = Array.from({ length: aggregations }, () => ({
      late: 0,
      onTime: 0,
      partlyLate: 0,
      missedWindows: 0,
      added: 0,
      missed: 0,
    }))
  }

  /** When the record was made, and under which trace. Where brokers set the timestamp, its sender's header tells. */
  noteOrigin(cursor: BatchCursor): void {
    const { timestamp, isAppendTime } = cursor
    let madeAt = isAppendTime ? -1 : timestamp
    if (cursor.headerCount > 0)
      for (const [name, value] of cursor.headers())
        if (name === 'traceparent') this.traces.push(...(TRACEPARENT.exec(value) ?? []))
        else if (name === 'sent-at' && isAppendTime && EPOCH_MS.test(value)) madeAt = Number(value)
    if (madeAt >= 0) this.createdAt.push(madeAt)
  }

  effects(): Omit<Share, 'commit' | 'aggregates'> {
    const { late, dead, raw, createdAt, traces, lastOffset } = this
    return { late, dead, raw, createdAt, traces, lastOffset }
  }
}
