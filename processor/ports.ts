/** What the flow needs of the world. Every clock, random number and I/O call stands behind one of these ports. */
import type { WorkerCode } from '#pipeline/conditions.ts'
import type { AbortedTransaction } from './core/batches.ts'
import type { Claim, Progress } from './core/claim.ts'
import type { Commit } from './core/commit.ts'

// ---------------------------------------------------------------- Source: the log

export type Topic = {
  topic: string
  /** Kafka's own id of the topic (uuid text); a topic made anew has another. */
  topicId: string
  partitions: number
}

export type TopicInfo = Topic & {
  /** Brokers refuse records whose timestamps are further ahead of their own clock, ms. */
  maxAheadMs: number
}

/** `epoch`: leader epoch of the record before `offset`, −1 where unknown. */
export type FetchRequest = { partition: number; offset: number; epoch: number }

/** One partition's share of an answer. Offsets fit a double (Kafka's int64 never gets past 2^53 in practice). */
export type Fetched = {
  partition: number
  /** The offset that was asked for. */
  offset: number
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
  /** Whole record batches, oldest first, as they lie in the log; null when there is nothing new. */
  data: Buffer | null
  /** Transactions that were aborted inside this data, as Kafka lists them. */
  aborted: AbortedTransaction[]
  /** The log does not hold `offset`, or not what was before it: retention, or the log was cut. Nothing else is set then. */
  outOfRange: boolean
}

export interface Source {
  /** Throws Fatal TopicCompacted; Retryable when no broker answers, or (condition TopicMissing) when there is none yet. */
  describe(): Promise<TopicInfo>
  /** The first offset at or after `at` of each partition: 'earliest', 'latest' or an epoch in ms. */
  offsets(partitions: number[], at: 'earliest' | 'latest' | number): Promise<Map<number, number>>
  /** Where a leader epoch ends in the log as it is now; null: the leader does not know it. Throws Retryable. */
  endOfEpoch(partition: number, epoch: number): Promise<number | null>
  /**
   * Answers as soon as any leader has something (or after its wait time, with what it knows). One request per leader is
   * under way at once: what is not answered yet comes with a later call, so an answer may be for an older position.
   * The bytes of an answer are the caller's until the second call after the one that gave it; then they may be reused.
   * Throws Retryable, Fatal TopicReplaced.
   */
  poll(requests: FetchRequest[]): Promise<Fetched[]>
  close(): Promise<void>
}

/** The consumer group: who reads what. It decides nothing about correctness; claims in the store do. */
export interface Membership {
  /** Joins, and calls back with the whole assignment at each change ([] when we were thrown out). */
  join(onAssignment: (partitions: number[]) => void): Promise<void>
  /** The assignment as the coordinator confirmed it after this call began: a zombie must not trust what it remembers. */
  confirm(): Promise<number[]>
  /** Kafka's own group offsets: for lag tools only, never read back. */
  publishOffsets(offsets: Map<number, number>): Promise<void>
  leave(): Promise<void>
}

// ---------------------------------------------------------------- Store: PostgreSQL

export type Opened = {
  generation: number
  /** Partitions that the topic had when the pipeline began. */
  firstPartitions: number
  /** Milliseconds; null while some partition was never read. */
  watermark: number | null
}

export type PipelineClock = {
  watermark: number | null
  /** Windows that became final by this call, over all aggregations. */
  finalised: number
  removed: number
}

export interface Store {
  /**
   * Migrates, takes or checks ownership of the schema, creates the aggregation tables, adds a progress row for each
   * partition (one that the topic got later is read from its first record), registers the spec and answers its
   * generation. May be called again, when the topic has grown. Throws Fatal SchemaTooNew, SchemaOwnedByOther,
   * AggregationChanged, TopicReplaced; Retryable when PostgreSQL is away.
   */
  open(topic: Topic): Promise<Opened>
  /** Epoch + 1, new token, idle lease cleared. `start` is stored as first offset where none is known yet. */
  claim(partition: number, start: number): Promise<Claim>
  /** Where each partition stands without claiming it (null nextOffset: never claimed). */
  positions(): Promise<Map<number, number | null>>
  /**
   * One transaction, progress first. Resolves when COMMIT was acknowledged. Throws Fenced (nothing written), Rejected
   * (nothing written), Retryable (outcome unknown: inspect before trying again).
   */
  commit(commit: Commit): Promise<void>
  /** The rows, read FOR UPDATE: waits for a transaction that is still deciding. */
  inspect(partitions: number[]): Promise<Progress[]>
  /** Renews the idle lease of partitions that we own (epoch and token checked) for `leaseMs` of PostgreSQL's clock. */
  renewIdle(owned: { partition: number; epoch: number; token: string }[], leaseMs: number): Promise<void>
  /** Pipeline watermark, finality, retention; a no-op answer when another worker holds the lease. */
  advance(): Promise<PipelineClock | null>
  /** Bytes of payload held in dead_letters, for deadLetters.maxBytes. */
  deadLetterBytes(): Promise<number>
  close(): Promise<void>
}

/**
 * Members of the group that somebody who knew better than the broker declared dead. A process that was only cut off
 * finds its name here and stops; correctness does not hang on it, since claims fence it anyway.
 */
export interface Expulsions {
  expel(member: string): Promise<void>
  isExpelled(member: string): Promise<boolean>
}

// ---------------------------------------------------------------- Projections

/** One row to write, or to remove (document null). Values are JSON-ready; amounts are strings. */
export type ProjectedRow = {
  aggregation: number
  /** Hash of the canonical key: the sink's document id. */
  id: string
  version: bigint
  document: Record<string, string | number | boolean | null> | null
  /** Newest commit time of the row, ms, for the projection delay. */
  updatedAt: number
}

/** `traces`: contexts of the commits that are shown for the first time, as far as they are known. */
export type ProjectionWork = {
  entries: bigint[]
  rows: ProjectedRow[]
  traces: { aggregation: number; traceparent: string }[]
}

export type ProjectionFault = { aggregation: number; id: string; version: bigint; error: string }

/** The bookkeeping that commits write: which rows a projection has yet to show. */
export interface Outbox {
  /** A snapshot of rows that wait, at most about `limit`; null when there are none or another worker has the lease. */
  take(limit: number): Promise<ProjectionWork | null>
  /** Removes the entries, once the sink has answered; records what it will not accept, until it accepts the row. */
  confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void>
  /** Rows (approximately) that wait. */
  pending(): Promise<number>
  /** Rows that the sink did not accept. */
  rejected(): Promise<number>
}

export interface Sink {
  /** Applies the index templates and creates what is missing. Throws Retryable while the sink is away. */
  prepare(): Promise<void>
  /** Writes with external versions. An equal or greater version already there is success. Throws Retryable. */
  write(rows: ProjectedRow[]): Promise<ProjectionFault[]>
  close(): Promise<void>
}

// ---------------------------------------------------------------- Removal of what a pipeline stored

/** `foreign`: what goes by the name was not made by this pipeline. */
export type Belonging = 'ours' | 'foreign' | 'absent'

export interface Stored {
  /** For people: "index sales-by-store". */
  readonly name: string
  /** Removes it if it is ours; answers what it was. Throws Retryable (it may be gone or not), Fatal AccessDenied. */
  remove(): Promise<Belonging>
}

/** The rows and the progress. They prove whose the rest is, too: the last to be removed. */
export interface StoredRows extends Stored {
  /** Throws Retryable, Fatal AccessDenied. */
  find(): Promise<Belonging>
}

// ---------------------------------------------------------------- Clock, chance, telemetry

export interface Clock {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface Chance {
  /** Uniform in [0, 1). */
  next(): number
}

export interface Telemetry {
  fetched(partition: number, bytes: number): void
  /** Called once per acknowledged commit. createdAt: when its data records were made (ms), where that is known. */
  committed(commit: Commit, info: { startedAt: number; endedAt: number; createdAt: Float64Array }): void
  commitFailed(kind: 'fenced' | 'rejected' | 'retryable'): void
  rebalanced(assigned: number[]): void
  position(
    partition: number,
    /** `nextOffset`: read up to there; `committed`: the results hold what lies before it. */
    position: { committed: number; nextOffset: number; lastStableOffset: number; watermark: number | null },
  ): void
  released(partition: number): void
  projected(work: ProjectionWork, faults: number, info: { startedAt: number; endedAt: number }): void
  projectionPending(rows: number): void
  pipelineClock(clock: PipelineClock): void
  /** Time spent working rather than waiting since the last call. */
  busy(workedMs: number, elapsedMs: number): void
  condition(code: WorkerCode, message: string | null): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}
