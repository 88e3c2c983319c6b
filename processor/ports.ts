/** Ports of the flow: every clock, random number and I/O call is behind one of them. */
import type { WorkerCode } from '#pipeline/conditions.ts'
import type { AbortedTransaction } from './core/batches.ts'
import type { Claim, Progress } from './core/claim.ts'
import type { Commit } from './core/commit.ts'

// ---------------------------------------------------------------- Source: the log

export type Topic = {
  topic: string
  /** Kafka's id of the topic (UUID text); a recreated topic has another one. */
  topicId: string
  partitions: number
}

export type TopicInfo = Topic & {
  /** Brokers refuse records whose timestamps are further ahead of their own clock, ms. */
  maxAheadMs: number
}

/** `epoch`: leader epoch of the record before `offset`, −1 when unknown. */
export type FetchRequest = { partition: number; offset: number; epoch: number }

/** A batch in a message format of Kafka before 0.11. */
export type Unsupported = { format: number; offset: number }

/** One partition's part of an answer. Offsets fit a double (Kafka's int64 never gets past 2^53 in practice). */
export type Fetched = {
  partition: number
  /** The requested offset. */
  offset: number
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
  /** Whole record batches, oldest first, as they are in the log; null when there is nothing new. */
  data: Buffer | null
  /** The batch at `offset`, if its message format is not supported. `data` is null then. */
  unsupported: Unsupported | null
  /** Transactions that were aborted inside this data, as Kafka lists them. */
  aborted: AbortedTransaction[]
  /** The log lacks `offset` or the record before it, by retention or truncation. No other field is set then. */
  outOfRange: boolean
}

/** `lastWriteAt`: timestamp of the producer's last record, ms since the epoch. */
export type OpenTransaction = { producerId: bigint; startOffset: number; lastWriteAt: number }

export interface Source {
  /** Throws Fatal TopicCompacted; Retryable when no broker answers, or (TopicMissing) when the topic does not exist. */
  describe(): Promise<TopicInfo>
  /** Resolves with each partition's first offset at or after `at`: 'earliest', 'latest' or an epoch in ms. */
  offsets(partitions: number[], at: 'earliest' | 'latest' | number): Promise<Map<number, number>>
  /** Resolves with the end offset of a leader epoch in the log; null: unknown to the leader. Throws Retryable. */
  endOfEpoch(partition: number, epoch: number): Promise<number | null>
  /** Resolves with the transactions that have records in the partition and are still open. Throws Retryable, Fatal. */
  openTransactions(partition: number): Promise<OpenTransaction[]>
  /**
   * Resolves as soon as any leader has data, or after the leader's wait time. One request per leader is in flight at a
   * time: a late answer comes with a later call, so an answer may be for an older position.
   * The bytes of an answer are valid until the second call after the one that returned it; then they may be reused.
   * Throws Retryable, Fatal TopicReplaced.
   */
  poll(requests: FetchRequest[]): Promise<Fetched[]>
  close(): Promise<void>
}

/** The consumer group: which worker reads which partition. Correctness depends on claims in the store, not on it. */
export interface Membership {
  /** Joins, and calls back with the whole assignment at each change ([] after removal from the group). */
  join(onAssignment: (partitions: number[]) => void): Promise<void>
  /** Resolves with the assignment that the coordinator confirms after this call: the last known may be outdated. */
  confirm(): Promise<number[]>
  /** Commits the group's offsets in Kafka, for lag tools only; they are never read back. */
  publishOffsets(offsets: Map<number, number>): Promise<void>
  leave(): Promise<void>
}

// ---------------------------------------------------------------- Store: PostgreSQL

export type Opened = {
  generation: number
  ownership: Ownership
  /** Partitions that the topic had when the pipeline began. */
  firstPartitions: number
  /** Milliseconds; null while some partition was never read. */
  watermark: number | null
}

export type PipelineClock = {
  watermark: number | null
  /** Windows that this call made final, in all aggregations. */
  finalised: number
  removed: number
}

export interface Store {
  /**
   * Migrates the schema, takes or checks its ownership, creates the aggregation tables, adds a progress row for each
   * partition (one that was added to the topic later is read from its first record), registers the spec and resolves
   * with its generation. Call it again when the topic has grown. Throws Fatal SchemaTooNew, SchemaOwnedByOther,
   * AggregationChanged, TopicReplaced; Retryable when PostgreSQL is unavailable.
   */
  open(topic: Topic): Promise<Opened>
  /** Sets epoch + 1 and a new token, clears the idle lease. Stores `start` as first offset when there is none yet. */
  claim(partition: number, start: number): Promise<Claim>
  /** Resolves with the nextOffset of each partition, without claiming it; null: never claimed. */
  positions(): Promise<Map<number, number | null>>
  /**
   * Writes one transaction, progress first. Resolves when COMMIT was acknowledged. Throws Fenced (nothing written),
   * Rejected (nothing written), Retryable (outcome unknown: inspect before retrying).
   */
  commit(commit: Commit): Promise<void>
  /**
   * Sends a commit without records, which changes nothing: it succeeds if a commit with records could. Resolves with those
   * partitions that still have this epoch and token. Throws Retryable, Fatal.
   */
  commitNothing(owned: { partition: number; epoch: number; token: string }[]): Promise<number[]>
  /** Reads the progress rows FOR UPDATE, which waits for a transaction that is still open. */
  inspect(partitions: number[]): Promise<Progress[]>
  /** Renews idle leases for `leaseMs` of PostgreSQL's clock, where epoch and token are still those of the owner. */
  renewIdle(owned: { partition: number; epoch: number; token: string }[], leaseMs: number): Promise<void>
  /** Advances pipeline watermark, finality and retention. Resolves with null when another worker holds the lease. */
  advance(): Promise<PipelineClock | null>
  /** Resolves with the payload bytes in dead_letters, which deadLetters.maxBytes bounds. */
  deadLetterBytes(): Promise<number>
  /**
   * Lets the roles of spec.sinks.postgres.readers read the results, and revokes it from roles that are no longer listed.
   * Resolves with null, or with what keeps a role from reading them and how to correct it.
   */
  grantReaders(): Promise<string | null>
  close(): Promise<void>
}

/**
 * Group members that the operator declared dead before the broker did. A process that was only disconnected finds its
 * name here and stops. Correctness does not depend on this, because claims fence the process anyway.
 */
export interface Expulsions {
  expel(member: string): Promise<void>
  isExpelled(member: string): Promise<boolean>
}

// ---------------------------------------------------------------- Projections

/** Whose documents a projection writes (contract, section 4). */
export type Ownership = {
  /** namespace/name of the pipeline and the random id of its schema. */
  owner: string
  /** Indices that a release up to 0.3.0 filled for this schema; they count as adopted. */
  inherited: string[]
}

/** One row to write, or to remove (document null). Values are JSON-ready; amounts are strings. */
export type ProjectedRow = {
  aggregation: number
  /** The owner and a hash of the canonical key: the sink's document id. */
  id: string
  /** Id under which a release up to 0.3.0 may have written the row. The sink removes that document. */
  formerId: string | null
  version: bigint
  document: Record<string, string | number | boolean | null> | null
  /** Newest commit time of the row, ms, for the projection delay. */
  updatedAt: number
}

/** `traces`: contexts of the commits that are projected for the first time, where they are known. */
export type ProjectionWork = {
  entries: bigint[]
  rows: ProjectedRow[]
  traces: { aggregation: number; traceparent: string }[]
}

/** All rows of a projection are being written to the sink again. */
export type Rebuild = {
  /** The index in the sink. */
  index: string
  /** Rows that the table had when the rebuild began. */
  rows: number
  /** About how many of them the sink has accepted or rejected. */
  written: number
}

export type RebuildProgress = {
  /** Those that are not finished. */
  rebuilds: Rebuild[]
  /** Workers that are connected to the store. */
  workers: number
}

/** Rebuilds that a person requests; the workers write the rows. Both calls throw a UserError. */
export interface RequestedRebuild {
  begin(): Promise<void>
  progress(): Promise<RebuildProgress>
}

export type ProjectionFault = { aggregation: number; id: string; version: bigint; error: string }

/** Entries that commits write: the rows that must still be projected. */
export interface Outbox {
  /** Returns null before the store is open. */
  ownership(): Ownership | null
  /** Resolves with at most about `limit` pending rows; null when there are none or another worker has the lease. */
  take(limit: number): Promise<ProjectionWork | null>
  /** Removes the entries that the sink has answered. Records each fault until the sink accepts the row. */
  confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void>
  /** Resolves with the approximate number of pending rows. */
  pending(): Promise<number>
  /** Resolves with the number of rows that the sink rejected. */
  rejected(): Promise<number>
  /** Resolves with true for one worker of the pipeline, and not again within `everyMs`: that worker checks the sink. */
  beginCheck(everyMs: number): Promise<boolean>
  /**
   * Resolves with a few rows of each projection that the sink must have: they neither wait nor were rejected. Leaves out
   * projections that are being rebuilt.
   */
  sample(): Promise<ProjectedRow[]>
  /** Begins to give all rows of these aggregations new versions and to enqueue them, unless a rebuild is in progress. */
  rebuild(aggregations: number[]): Promise<void>
  /** Resolves with the rebuilds in progress. A rebuild ends when none of its rows waits any more. */
  rebuilds(): Promise<Rebuild[]>
}

export interface Sink {
  /** As in spec.sinks. */
  readonly name: string
  /**
   * Applies the index templates, creates what is missing with the owner's mark, and tries a write that changes nothing.
   * Throws Retryable while the sink is unavailable or refuses writes, and (with the condition IndexOwnedByOther) while an
   * index or template belongs to another owner.
   */
  prepare(ownership: Ownership): Promise<void>
  /** Writes with external versions. Succeeds where the sink already has an equal or greater one. Throws Retryable. */
  write(rows: ProjectedRow[]): Promise<ProjectionFault[]>
  /** Resolves with those rows whose documents the sink does not have. Throws Retryable. */
  missing(rows: ProjectedRow[]): Promise<ProjectedRow[]>
  close(): Promise<void>
}

// ---------------------------------------------------------------- Removal of what a pipeline stored

/** `foreign`: the object of this name was not created by this pipeline. */
export type Belonging = 'ours' | 'foreign' | 'absent'

/** `adopted`: only this pipeline's documents in it were removed. */
export type Removed = Belonging | 'adopted'

export interface Stored {
  /** Name in messages: "index sales-by-store". */
  readonly name: string
  /** Removes it if it is `ours`; resolves with what it was. Throws Retryable (outcome unknown), Fatal AccessDenied. */
  remove(): Promise<Removed>
}

/** The rows and the progress. They are removed last, because they prove who owns the rest. */
export interface StoredRows extends Stored {
  /** Resolves with what the rows are, without removing them. Throws Retryable, Fatal AccessDenied. */
  find(): Promise<Belonging>
  /** Resolves with the owner of the documents, if the rows are `ours`. Throws Retryable, Fatal AccessDenied. */
  owner(): Promise<string>
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

export type Position = {
  /** First offset that the results do not include. */
  committed: number
  /** First offset that is not read yet. */
  nextOffset: number
  logEnd: number
  /** Offsets before `logEnd` that cannot be read before open transactions end. */
  undecided: number
  watermark: number | null
}

export interface Telemetry {
  fetched(partition: number, bytes: number): void
  /** Called once per acknowledged commit. createdAt: when its data records were created (ms), where known. */
  committed(commit: Commit, info: { startedAt: number; endedAt: number; createdAt: Float64Array }): void
  commitFailed(kind: 'fenced' | 'rejected' | 'retryable'): void
  rebalanced(assigned: number[]): void
  position(partition: number, position: Position): void
  released(partition: number): void
  projected(work: ProjectionWork, faults: number, info: { startedAt: number; endedAt: number }): void
  projectionPending(rows: number): void
  /** All partitions of this worker for which the store has accepted an empty commit since their claim. */
  committable(partitions: number[]): void
  /** The sink has the mark of this pipeline and accepts its writes. */
  sinkAccepted(sink: string): void
  pipelineClock(clock: PipelineClock): void
  /** Time spent working rather than waiting since the last call. */
  busy(workedMs: number, elapsedMs: number): void
  condition(code: WorkerCode, message: string | null): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}
