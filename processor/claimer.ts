/** Makes assigned partitions ours: claim in the store, then read from where its deduplication set can be rebuilt. */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Decompress } from './core/batches.ts'
import type { Claim } from './core/claim.ts'
import { PartitionState } from './core/partition.ts'
import { type LogBounds, placeReading } from './core/placement.ts'
import { Retryable } from './errors.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Chance, Clock, Membership, Source, Store, Telemetry } from './ports.ts'
import { retrying } from './retrying.ts'

/** Pause before claiming again what was lost, ms: two workers that both believe in an assignment must not duel. */
const RECLAIM_PAUSE_MS = 400

export type ClaimerDeps = {
  compiled: CompiledSpec
  source: Source
  membership: Membership
  store: Store
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  decompress: Decompress
  /** Gives every partition that the topic has by now its row in the store. */
  openTopic: () => Promise<boolean>
  fail: (error: unknown) => void
  signal: AbortSignal
}

export class Claimer {
  readonly #deps: ClaimerDeps
  /** Records that the store refused, by partition, until their dead letters are stored. */
  readonly #rejected = new Map<number, number[]>()

  constructor(deps: ClaimerDeps) {
    this.#deps = deps
  }

  start(partition: OwnedPartition): void {
    this.#claim(partition).catch(this.#deps.fail)
  }

  /** `lost`: another worker claimed it; ours again only if the coordinator still says so. `moved`: restore from the row. */
  reclaim(partition: OwnedPartition, reason: 'lost' | 'moved'): void {
    partition.enter('assigned')
    this.#deps.telemetry.log('info', `partition ${partition.partition} ${reason}: claiming again`)
    const ready = reason === 'moved' ? Promise.resolve(true) : this.#isStillAssigned(partition)
    ready
      .then(ours => (ours && partition.phase === 'assigned' ? this.#claim(partition) : undefined))
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
    if (!claim) return // the worker is stopping
    const bounds = await retrying(this.#deps, 'SourceUnavailable', async () => ({
      earliest: (await source.offsets([number], 'earliest')).get(number)!,
      end: (await source.offsets([number], 'latest')).get(number)!,
      epochEnd: claim.leaderEpoch === null ? null : await source.endOfEpoch(number, claim.leaderEpoch),
    }))
    if (!bounds || partition.phase !== 'claiming') return // revoked, or the worker is stopping
    this.#place(partition, claim, bounds)
  }

  /** Only used by the very first claim; resolved then, once, and stored (contract, section 2). */
  async #startOffset(partition: number): Promise<number> {
    const known = await this.#position(partition)
    if (known !== null) return known
    const { startFrom } = this.#deps.compiled.spec.source
    const at = startFrom === 'earliest' || startFrom === 'latest' ? startFrom : Date.parse(startFrom)
    return (await this.#deps.source.offsets([partition], at)).get(partition)!
  }

  /** Null: never claimed. A partition that nobody knows was added to the topic while the pipeline runs. */
  async #position(partition: number): Promise<number | null> {
    const { store, openTopic } = this.#deps
    const known = (await store.positions()).get(partition)
    if (known !== undefined) return known
    await openTopic()
    const opened = (await store.positions()).get(partition)
    if (opened === undefined) throw new Retryable(`partition ${partition} is not known to every broker yet`)
    return opened
  }

  #place(partition: OwnedPartition, claim: Claim, bounds: LogBounds): void {
    const { telemetry, compiled, decompress, clock } = this.#deps
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
        `partition ${claim.partition}: skipped offsets ${claim.nextOffset} to ${earliest - 1}, which retention removed before they were read`,
      )
    if (placement.historyLost)
      telemetry.condition(
        'DeduplicationHistoryUnavailable',
        `partition ${claim.partition}: cannot detect duplicates of records before offset ${earliest}, which retention removed`,
      )
    const state = new PartitionState(
      claim,
      documentJson => compileSpec((JSON.parse(documentJson) as SalesPipeline).spec),
      decompress,
    )
    for (const offset of this.#rejected.get(claim.partition) ?? []) state.reject(offset)
    state.skipTo(placement.read)
    partition.state = state
    partition.moveTo(placement.read)
    partition.highWatermark = -1
    partition.lastDataAt = clock.now()
    partition.enter(state.restoring ? 'restoring' : 'running')
  }
}
