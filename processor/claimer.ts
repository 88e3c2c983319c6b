/** Claims assigned partitions in the store, and places reading where the deduplication set can be rebuilt. */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Claim } from './core/claim.ts'
import { PartitionState } from './core/partition.ts'
import { type LogBounds, placeReading } from './core/placement.ts'
import { Retryable } from './errors.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Chance, Clock, Membership, Source, Store, Telemetry } from './ports.ts'
import { retrying } from './retrying.ts'

/**
 * Pause before a lost partition is claimed again, ms. Without it, two workers that both consider themselves assigned
 * would take the partition from each other in a loop.
 */
const RECLAIM_PAUSE_MS = 400

export type ClaimerDeps = {
  compiled: CompiledSpec
  source: Source
  membership: Membership
  store: Store
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  /** Adds a row to the store for each partition of the topic. Resolves with false when the flow stops first. */
  openTopic: () => Promise<boolean>
  fail: (error: unknown) => void
  signal: AbortSignal
}

export class Claimer {
  readonly #deps: ClaimerDeps
  /** Offsets of records that the store rejected, by partition. A claim returns only those with a stored dead letter. */
  readonly #rejected = new Map<number, number[]>()

  constructor(deps: ClaimerDeps) {
    this.#deps = deps
  }

  start(partition: OwnedPartition): void {
    this.#claim(partition).catch(this.#deps.fail)
  }

  /**
   * Claims the partition again. `lost`: another worker claimed it, so the coordinator must first confirm that it is
   * still assigned. `moved`: its progress row changed, so its state is restored from there.
   */
  reclaim(partition: OwnedPartition, reason: 'lost' | 'moved'): void {
    partition.enter('assigned')
    this.#deps.telemetry.log('info', 'claiming partition again', { partition: partition.partition, reason })
    const stillAssigned = reason === 'moved' ? Promise.resolve(true) : this.#isStillAssigned(partition)
    stillAssigned
      .then(isAssigned => (isAssigned && partition.phase === 'assigned' ? this.#claim(partition) : undefined))
      .catch(this.#deps.fail)
  }

  noteRejected(partition: number, offset: number): void {
    this.#rejected.set(partition, [...(this.#rejected.get(partition) ?? []), offset])
  }

  async #isStillAssigned(partition: OwnedPartition): Promise<boolean> {
    const { clock, chance, membership, signal } = this.#deps
    await clock.sleep(RECLAIM_PAUSE_MS * (0.5 + chance.next()), signal)
    const assigned = await retrying(this.#deps, 'SourceUnavailable', () => membership.confirm())
    return assigned?.includes(partition.partition) ?? false
  }

  async #claim(partition: OwnedPartition): Promise<void> {
    partition.enter('claiming')
    const { source, store } = this.#deps
    const number = partition.partition
    const claim = await retrying(this.#deps, 'StoreUnavailable', async () =>
      store.claim(number, await this.#startOffset(number)),
    )
    if (!claim) return // the flow is stopping
    const bounds = await retrying(this.#deps, 'SourceUnavailable', async () => ({
      earliest: (await source.offsets([number], 'earliest')).get(number)!,
      end: (await source.offsets([number], 'latest')).get(number)!,
      epochEnd: claim.leaderEpoch === null ? null : await source.endOfEpoch(number, claim.leaderEpoch),
    }))
    if (!bounds || partition.phase !== 'claiming') return // revoked, or the flow is stopping
    this.#place(partition, claim, bounds)
  }

  /** The stored position, or that of spec.source.startFrom, which only the first claim uses and stores (section 2). */
  async #startOffset(partition: number): Promise<number> {
    const known = await this.#position(partition)
    if (known !== null) return known
    const { startFrom } = this.#deps.compiled.spec.source
    const at = startFrom === 'earliest' || startFrom === 'latest' ? startFrom : Date.parse(startFrom)
    return (await this.#deps.source.offsets([partition], at)).get(partition)!
  }

  /** Null when the partition was never claimed. One without a row was added to the topic while the pipeline runs. */
  async #position(partition: number): Promise<number | null> {
    const { store, openTopic } = this.#deps
    const known = (await store.positions()).get(partition)
    if (known !== undefined) return known
    await openTopic()
    const opened = (await store.positions()).get(partition)
    if (opened === undefined)
      throw new Retryable(
        `partition ${partition} was just added to the topic, and not every broker reports it yet; retrying`,
      )
    return opened
  }

  #place(partition: OwnedPartition, claim: Claim, bounds: LogBounds): void {
    const { telemetry, compiled, clock } = this.#deps
    const { earliest } = bounds
    const placement = placeReading(claim, bounds, compiled.spec.source.offsetOutOfRange)
    if ('stop' in placement) {
      telemetry.condition(placement.stop, placement.message)
      partition.enter('halted')
      return
    }
    if (placement.skipped)
      telemetry.condition(
        'OffsetsSkipped',
        `partition ${claim.partition}: retention removed offsets ${claim.nextOffset} to ${earliest - 1} before they were read; the results lack them. Extend the topic's retention`,
      )
    if (placement.historyLost)
      telemetry.condition(
        'DeduplicationHistoryUnavailable',
        `partition ${claim.partition}: retention removed the records before offset ${earliest}, so duplicates of them cannot be detected. Set the topic's retention to more than spec.deduplication.horizon`,
      )
    const compile = (documentJson: string) => compileSpec((JSON.parse(documentJson) as SalesPipeline).spec)
    const state = new PartitionState(claim, compile, compiled)
    for (const offset of this.#rejected.get(claim.partition) ?? []) state.reject(offset)
    state.skipTo(placement.read)
    partition.state = state
    partition.moveTo(placement.read)
    partition.highWatermark = -1
    partition.logEnd = bounds.end
    partition.lastDataAt = clock.now()
    partition.enter(state.restoring ? 'restoring' : 'running')
  }
}
