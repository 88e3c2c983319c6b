/** The core's output: the content of one transaction. */
import type { DeadReason } from './dead-reasons.ts'
import type { Amount } from './exact.ts'

/** A canonical group-by value: text for string fields, "true"/"false", or plain decimal text for numbers. */
type KeyText = string

/** Everything one partition adds with one commit. Counters are increments. */
export type PartitionCommit = {
  partition: number
  epoch: number
  token: string
  /** The commit counts what is from here on: the offset of a record, and how many of its lines were counted before. */
  fromOffset: number
  fromLine: number
  nextOffset: number
  /** Lines of the record at nextOffset that are counted with this commit or before it; 0: none. */
  nextLine: number
  restoreOffset: number
  restoreMaxEventTime: number | null
  maxEventTime: number | null
  /** The event time that enough sources have reached, and the state behind it; null without spec.watermark.sources. */
  agreedTime: number | null
  sources: string | null
  /** Event time of the partition's first non-dead record, if this commit counts it. */
  firstEventTime: number | null
  leaderEpoch: number
  /** records = dead + duplicate + accepted; nextOffset - fromOffset = records + skipped (control, aborted, absent). */
  counters: { records: number; skipped: number; dead: number; duplicate: number; accepted: number }
  /** One per aggregation of the spec: accepted = late + onTime; lines × windows = added + missed for whole records. */
  aggregations: AggregationCounters[]
}

export type AggregationCounters = {
  late: number
  onTime: number
  partlyLate: number
  missedWindows: number
  added: number
  missed: number
}

/** Increments of one aggregation's rows, column by column; row i is keys[*][i], windowStart[i], columns[*][i]. */
export type AggregateRows = {
  aggregation: number
  /** Milliseconds since the epoch; -Infinity for all time. Each (windowStart, keys) occurs once. */
  windowStart: number[]
  keys: KeyText[][]
  /** One per CompiledColumn, in its order. */
  columns: Amount[][]
}

export type LateEvent = {
  partition: number
  offset: number
  aggregation: number
  eventTime: number
  /** Starts of the windows that the event missed. */
  missed: number[]
  /** True when it missed all its windows (late), false when it missed some (partly late). */
  entirely: boolean
  payload: Buffer
}

export type DeadLetter = {
  partition: number
  offset: number
  reason: DeadReason
  /** Path of the value at fault, if one is. */
  field: string | null
  recordTimestamp: number
  key: Buffer | null
  headers: [string, string][]
  /** Null for a tombstone. Cut to deadLetters.maxPayload by the flow; payloadSha256 then covers the whole. */
  payload: Buffer | null
  payloadBytes: number
  payloadSha256: string | null
  /** What is wrong and what to do, for people. */
  detail: string | null
  /** Lines that commits had counted before the store rejected a later one; 0: none. */
  countedLines: number
}

/** One line of an accepted sale. values: one per CompiledField, as text; null where an optional field is absent. */
export type RawSale = { partition: number; offset: number; line: number; eventTime: number; values: (string | null)[] }

export type Commit = {
  partitions: PartitionCommit[]
  aggregates: AggregateRows[]
  late: LateEvent[]
  dead: DeadLetter[]
  raw: RawSale[]
  /** W3C contexts (`traceparent`) under which sampled records were sent. */
  traces: string[]
}
