/**
 * Tasks that run every second, not per record: idle leases, pipeline watermark and finality, published offsets, and a
 * check that the store still has what it acknowledged.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { DeadLetterBounds } from './dead-letter-bounds.ts'
import { Retryable } from './errors.ts'
import type { InputMonitor } from './input-monitor.ts'
import { checkOpenTransactions } from './open-transactions.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Clock, Membership, Source, Store, Telemetry } from './ports.ts'

const EVERY_MS = 1000
/** A role that is created after the pipeline can read the results after this time. */
const READERS_EVERY_MS = 30_000
/** An idle lease outlives three missed renewals; a dead owner's partition stops being idle soon after (section 5). */
const IDLE_LEASE_MS = 4 * EVERY_MS
/** Failures in a row after which the store counts as unavailable: a lock that another worker holds passes. */
const MAX_FAILURES = 2

export type UpkeepDeps = {
  compiled: CompiledSpec
  source: Source
  store: Store
  membership: Membership
  clock: Clock
  telemetry: Telemetry
  partitions: () => Iterable<OwnedPartition>
  bounds: DeadLetterBounds
  input: InputMonitor
  /** The store lost commits of this partition that it had acknowledged. */
  onMoved: (partition: OwnedPartition) => void
}

export class Upkeep {
  readonly #deps: UpkeepDeps
  #readersDueAt = Number.NEGATIVE_INFINITY
  #failures = 0

  constructor(deps: UpkeepDeps) {
    this.#deps = deps
  }

  /** Runs until the signal aborts. A Retryable stops neither the other tasks nor the next round; other errors throw. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#reportLoop(signal), this.#taskLoop(signal), this.#transactionLoop(signal)])
  }

  /** Does not wait for the store: the lag of the results matters most while the store is unavailable. */
  async #reportLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#report()
      this.#deps.input.report(this.#deps.clock.now())
      await this.#deps.clock.sleep(EVERY_MS, signal)
    }
  }

  async #taskLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#attempt(() => this.#detectFailover())
      await this.#attempt(() => this.#proveCommits())
      await this.#attempt(() => this.#renewIdle())
      await this.#attempt(() => this.#advance())
      await this.#attempt(() => this.#watchDeadLetters())
      await this.#attempt(() => this.#grantReaders())
      await this.#attempt(() => this.#publishOffsets())
      await this.#deps.clock.sleep(EVERY_MS, signal)
    }
  }

  /** Its requests go to Kafka. While Kafka does not respond, the tasks on the store must not wait for them. */
  async #transactionLoop(signal: AbortSignal): Promise<void> {
    const deps = { ...this.#deps, topic: this.#deps.compiled.spec.source.topic }
    while (!signal.aborted) {
      await checkOpenTransactions(deps)
      await this.#deps.clock.sleep(EVERY_MS, signal)
    }
  }

  async #attempt(task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      this.#deps.telemetry.log('debug', 'periodic maintenance of the store failed; retrying', { error: error.message })
    }
  }

  #report(): void {
    const { telemetry, partitions } = this.#deps
    let forgotten = 0
    for (const owned of partitions()) {
      const { partition, state } = owned
      if (!state) continue
      const watermark = Number.isFinite(state.watermark) ? state.watermark : null
      const { committed, logEnd, undecided } = owned
      telemetry.position(partition, { committed, nextOffset: state.nextOffset, logEnd, undecided, watermark })
      forgotten += state.idsForgottenEarly
    }
    telemetry.committable([...partitions()].filter(p => p.committable).map(p => p.partition))
    if (forgotten > 0)
      telemetry.condition(
        'DeduplicationBounded',
        `${forgotten} ids were dropped earlier than spec.deduplication.horizon allows, because there were too many; their duplicates are counted again. Raise spec.deduplication.maxIds`,
      )
  }

  /**
   * A failover may undo acknowledged commits (contract, section 3). The next commit would detect it, but a partition
   * without new sales has no next commit, and the undone results would stay missing.
   */
  async #detectFailover(): Promise<void> {
    const { store, partitions, onMoved } = this.#deps
    const committed = [...partitions()].filter(p => p.phase === 'running' && !p.share && !p.state!.dirty)
    const expected = committed.map(({ state }) => ({ state, nextOffset: state!.nextOffset }))
    if (committed.length === 0) return
    const positions = await store.positions()
    for (const [i, partition] of committed.entries()) {
      const { state, nextOffset } = expected[i]!
      if (partition.state === state && (positions.get(partition.partition) ?? 0) < nextOffset) onMoved(partition)
    }
  }

  /** Once for each claim: the pipeline is ready before the first sale arrives, and only if it could be committed. */
  async #proveCommits(): Promise<void> {
    const claimed = [...this.#deps.partitions()].filter(p => p.active && !p.committable)
    if (claimed.length === 0) return
    const states = claimed.map(({ state }) => state!)
    const owned = claimed.map(({ partition }, i) => ({ partition, epoch: states[i]!.epoch, token: states[i]!.token }))
    const proven = await this.#deps.store.commitNothing(owned)
    for (const [i, partition] of claimed.entries())
      if (proven.includes(partition.partition)) partition.prove(states[i]!)
  }

  async #renewIdle(): Promise<void> {
    const { store, clock, compiled, partitions } = this.#deps
    const since = clock.now() - compiled.spec.watermark.idleTimeout
    const idle = [...partitions()].filter(p => p.caughtUp && p.lastDataAt <= since)
    if (idle.length === 0) return
    const owned = idle.map(({ partition, state }) => ({ partition, epoch: state!.epoch, token: state!.token }))
    await store.renewIdle(owned, IDLE_LEASE_MS)
  }

  async #advance(): Promise<void> {
    const { store, telemetry } = this.#deps
    try {
      const clock = await store.advance()
      if (clock) telemetry.pipelineClock(clock)
    } catch (error) {
      this.#reportFailure(error)
      throw error
    }
    if (this.#failures >= MAX_FAILURES) telemetry.condition('StoreUnavailable', null)
    this.#failures = 0
  }

  /** While no sale arrives, nothing else would report that PostgreSQL is down: there is no commit. */
  #reportFailure(error: unknown): void {
    if (!(error instanceof Retryable) || error.condition !== 'StoreUnavailable') return
    this.#failures++
    if (this.#failures >= MAX_FAILURES) this.#deps.telemetry.condition('StoreUnavailable', error.message)
  }

  async #watchDeadLetters(): Promise<void> {
    const { store, bounds, telemetry } = this.#deps
    const message = bounds.observe(await store.deadLetterBytes())
    telemetry.condition('DeadLettersFull', bounds.paused ? null : message)
    telemetry.condition('DeadLettersPaused', bounds.paused ? message : null)
  }

  async #grantReaders(): Promise<void> {
    const { store, clock, telemetry } = this.#deps
    if (clock.now() < this.#readersDueAt) return
    this.#readersDueAt = clock.now() + READERS_EVERY_MS
    telemetry.condition('ReadersNotGranted', await store.grantReaders())
  }

  async #publishOffsets(): Promise<void> {
    const offsets = new Map<number, number>()
    for (const { partition, state, share } of this.#deps.partitions())
      if (state && !share && !state.dirty && !state.restoring) offsets.set(partition, state.nextOffset)
    if (offsets.size > 0) await this.#deps.membership.publishOffsets(offsets)
  }
}
