/**
 * Commits what the partitions gathered, one transaction at a time, and determines the outcome of each (section 3):
 *
 *   1. Freeze: the increments of each dirty partition become its share, while it continues to gather.
 *   2. Merge the shares and send them as one transaction.
 *   3. Acknowledged → done. Fenced, or no answer → read the progress rows and decide for each partition:
 *      committed | retry the same share | restore from the row | lost to another worker.
 *   4. Rejected data → halve the commit until one record is left; that record is dead (`store_rejected`).
 */
import { backOff } from '#pipeline/backoff.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Commit } from './core/commit.ts'
import { mergeShares } from './core/merge.ts'
import { outcomeOf } from './core/outcome.ts'
import type { Room } from './core/partition.ts'
import { recordsIn, type Share } from './core/pending.ts'
import { Fenced, Rejected, Retryable } from './errors.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Chance, Clock, Store, Telemetry } from './ports.ts'
import { retrying } from './retrying.ts'

/** Interval while far behind, ms: fewer and larger transactions cost less, and nobody waits for the newest sale. */
const BACKLOG_INTERVAL_MS = 1000

/**
 * Rows of one partition at which it stops between two records, and those of one record from which on it stops inside of it.
 * This bounds memory when every event has a different key.
 */
const MAX_PARTITION_ROWS = 64_000
/** A commit starts at this share of these rows, before partitions are merged: larger commits merge more increments. */
const FULL = 1 / 4

/** Pauses before a commit is retried. */
const RETRY = { baseMs: 100, capMs: 5000 }

export type CommitterDeps = {
  compiled: CompiledSpec
  store: Store
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  partitions: () => Iterable<OwnedPartition>
  /** Cuts oversized dead letters, or strips them when their table is full. */
  boundDeadLetters: (commit: Commit) => Commit
  /** Counts the records of a commit, for conditions about the input. */
  noteInput: (shares: Share[], at: number) => void
  /** The partition has another owner (`lost`), or its progress row changed (`moved`): it must be claimed again. */
  onLost: (partition: OwnedPartition, reason: 'lost' | 'moved') => void
  /** The store rejects exactly this record. */
  onRejected: (partition: OwnedPartition, offset: number) => void
  /** Ends the flow with this error. */
  fail: (error: unknown) => void
  signal: AbortSignal
  /** Instead of MAX_PARTITION_ROWS, for tests. */
  partitionRows?: number
}

export class Committer {
  readonly #deps: CommitterDeps
  readonly #partitionRows: number
  #inFlight: Promise<void> | null = null
  #lastStart = 0
  #timer: Promise<void> | null = null
  /** Most records in a commit while a rejected record is searched for, one partition at a time; else Infinity. */
  #bisectionLimit = Number.POSITIVE_INFINITY

  constructor(deps: CommitterDeps) {
    this.#deps = deps
    this.#partitionRows = deps.partitionRows ?? MAX_PARTITION_ROWS
  }

  /** Returns how much more a partition may gather before the next commit; null: nothing. */
  room({ state }: OwnedPartition): Room | null {
    const records = this.#bisectionLimit - (state?.pendingRecords ?? 0)
    const recordRows = this.#partitionRows
    const rows = recordRows - (state?.pendingRows ?? 0)
    return records > 0 && rows > 0 ? { records, rows, recordRows } : null
  }

  /** Starts a commit if one is due; otherwise schedules one. */
  commitIfDue(): void {
    if (this.#inFlight) return
    const dirty = this.#dirty()
    if (dirty.length === 0) return
    const wait = this.#lastStart + this.#interval() - this.#deps.clock.now()
    if (wait > 0 && !this.#isFull(dirty)) this.#wakeAfter(wait)
    else this.#start(dirty)
  }

  /** Resolves when more may be gathered: memory holds one commit in flight and one that is being gathered. */
  async waitForCapacity(): Promise<void> {
    while (this.#inFlight && (this.#isFull(this.#dirty()) || Number.isFinite(this.#bisectionLimit)))
      await this.#inFlight
    this.commitIfDue()
  }

  /** Commits everything that was gathered; resolves early when the signal aborts. */
  async flush(): Promise<void> {
    while (!this.#deps.signal.aborted) {
      if (this.#inFlight) await this.#inFlight
      const dirty = this.#dirty()
      if (dirty.length === 0) return
      this.#start(dirty)
    }
  }

  #start(dirty: OwnedPartition[]): void {
    this.#inFlight = this.#commit(dirty)
      .catch(this.#deps.fail)
      .finally(() => {
        this.#inFlight = null
      })
  }

  #dirty(): OwnedPartition[] {
    const dirty = [...this.#deps.partitions()].filter(
      p => p.state?.dirty && (p.phase === 'running' || p.phase === 'draining'),
    )
    return Number.isFinite(this.#bisectionLimit) ? dirty.slice(0, 1) : dirty
  }

  #isFull(dirty: OwnedPartition[]): boolean {
    const { maxRecords, maxBytes } = this.#deps.compiled.spec.commit
    let records = 0
    let bytes = 0
    let rows = 0
    for (const { state } of dirty) {
      records += state!.pendingRecords
      bytes += state!.pendingBytes
      rows += state!.pendingRows
    }
    const isLarge = bytes >= maxBytes || rows >= FULL * this.#partitionRows
    return records >= Math.min(maxRecords, this.#bisectionLimit) || isLarge
  }

  #interval(): number {
    const { interval, maxRecords } = this.#deps.compiled.spec.commit
    let lag = 0
    for (const { state, lastStableOffset } of this.#deps.partitions())
      if (state) lag += Math.max(0, lastStableOffset - state.nextOffset)
    return lag > maxRecords ? Math.max(interval, BACKLOG_INTERVAL_MS) : interval
  }

  #wakeAfter(ms: number): void {
    this.#timer ??= this.#deps.clock.sleep(ms, this.#deps.signal).then(() => {
      this.#timer = null
      this.commitIfDue()
    })
  }

  async #commit(dirty: OwnedPartition[]): Promise<void> {
    const { clock, chance, signal } = this.#deps
    this.#lastStart = clock.now()
    for (const partition of dirty) partition.share = partition.state!.freeze()
    for (let attempt = 0; !signal.aborted; attempt++) {
      const live = dirty.filter(p => p.share)
      if (live.length === 0) return
      const records = live.reduce((sum, p) => sum + recordsIn(p.share!), 0)
      const failure = await this.#attempt(live)
      if (!failure) return
      if (failure instanceof Rejected) {
        this.#bisect(live, records)
        return
      }
      if (attempt > 0 || failure instanceof Retryable) await clock.sleep(backOff({ attempt, ...RETRY }, chance), signal)
      await this.#resolve(live)
    }
  }

  /** Resolves with null when the commit was acknowledged. */
  async #attempt(live: OwnedPartition[]): Promise<Fenced | Retryable | Rejected | null> {
    const { store, compiled, clock, telemetry, boundDeadLetters } = this.#deps
    const startedAt = clock.now()
    const commit = boundDeadLetters(
      mergeShares(
        compiled,
        live.map(p => p.share!),
      ),
    )
    try {
      await store.commit(commit)
    } catch (error) {
      if (error instanceof Fenced) telemetry.commitFailed('fenced')
      else if (error instanceof Rejected) telemetry.commitFailed('rejected')
      else if (error instanceof Retryable) telemetry.commitFailed('retryable')
      else throw error
      telemetry.log('warn', 'commit to PostgreSQL failed', { error: error.message })
      if (error instanceof Retryable) telemetry.condition('StoreUnavailable', error.message)
      return error
    }
    telemetry.condition('StoreUnavailable', null)
    this.#settle(
      live.filter(p => p.share),
      commit,
      startedAt,
    )
    if (Number.isFinite(this.#bisectionLimit)) this.#widenBisection()
    return null
  }

  /** Counts and drops the shares of `committed`, which the store has as `commit`. */
  #settle(committed: OwnedPartition[], commit: Commit, startedAt: number): void {
    const { telemetry, clock } = this.#deps
    const shares = committed.map(p => p.share!)
    for (const partition of committed) {
      partition.share = null
      if (isToClaimAgain(partition)) this.#deps.onLost(partition, 'moved')
    }
    this.#deps.noteInput(shares, clock.now())
    telemetry.committed(commit, {
      startedAt,
      endedAt: clock.now(),
      createdAt: Float64Array.from(shares.flatMap(share => share.createdAt)),
    })
  }

  async #resolve(live: OwnedPartition[]): Promise<void> {
    const { store, clock, compiled, onLost } = this.#deps
    const startedAt = clock.now()
    const rows = await retrying(this.#deps, 'StoreUnavailable', () => store.inspect(live.map(p => p.partition)))
    if (!rows) return
    for (const partition of live) {
      if (!partition.share) continue // dropped while the rows were read
      const outcome = outcomeOf(
        partition.share.commit,
        rows.find(row => row.partition === partition.partition),
      )
      if (outcome === 'committed') this.#settle([partition], mergeShares(compiled, [partition.share]), startedAt)
      else if (outcome !== 'retry') onLost(partition, outcome)
    }
  }

  /**
   * Reads everything in the rejected commit again, in smaller commits, until a single record is rejected. `records` is
   * the number sent: partitions may have been revoked since then, so the rest need not contain the rejected record.
   */
  #bisect(sent: OwnedPartition[], records: number): void {
    const live = sent.filter(p => p.share)
    if (live.length === 0) return
    if (sent.length === 1 && records === 1) this.#deps.onRejected(live[0]!, live[0]!.share!.lastOffset)
    else this.#bisectionLimit = Math.max(1, Math.floor(Math.min(records, this.#bisectionLimit) / 2))
    for (const partition of live) this.#deps.onLost(partition, 'moved')
  }

  #widenBisection(): void {
    this.#bisectionLimit *= 2
    if (this.#bisectionLimit >= this.#deps.compiled.spec.commit.maxRecords)
      this.#bisectionLimit = Number.POSITIVE_INFINITY
  }
}

/** True when the record is counted that an older generation had begun: the next claim is one of this generation. */
function isToClaimAgain({ phase, state }: OwnedPartition): boolean {
  return phase === 'running' && state !== null && state.finished && !state.dirty
}
