/**
 * One partition of this worker, from assignment to revocation:
 *
 *   assigned → claiming → restoring → running → draining → revoked
 *       ↑__________↓__________↓__________↓                    ↑ from every phase
 *   (claim failed, fenced, or moved: claim again)      halted: claimed, but not read until a person intervenes
 */
import type { PartitionState } from './core/partition.ts'
import type { Share } from './core/pending.ts'

export type Phase = 'assigned' | 'claiming' | 'restoring' | 'running' | 'draining' | 'halted' | 'revoked'

const ALLOWED: Record<Phase, Phase[]> = {
  assigned: ['claiming', 'revoked'],
  claiming: ['assigned', 'restoring', 'running', 'halted', 'revoked'],
  restoring: ['assigned', 'running', 'draining', 'halted', 'revoked'],
  running: ['assigned', 'draining', 'halted', 'revoked'],
  draining: ['revoked'],
  halted: ['assigned', 'draining', 'revoked'],
  revoked: [],
}

export class OwnedPartition {
  readonly partition: number
  /** Set by a claim; null before it, and after the partition was lost. */
  state: PartitionState | null = null
  /** The frozen part of a commit in flight; retried until the outcome is known. */
  share: Share | null = null
  /** Next offset to fetch; ahead of state.nextOffset while an answer is processed. */
  position = 0
  /** Leader epoch of the record before `position`, −1 when unknown: the leader detects another record there by it. */
  positionEpoch = -1
  highWatermark = -1
  lastStableOffset = -1
  /** The high watermark that was seen last, also before the first fetch after a claim. Only the lag uses it. */
  logEnd = -1
  /** Since when the last stable offset stands still below the high watermark (wall clock, ms). */
  stableOffsetSince = 0
  #fetchedAt = 0
  /** When data last arrived, to detect idleness (wall clock, ms). */
  lastDataAt = 0
  #phase: Phase = 'assigned'
  /** The state of the claim for which the store has accepted an empty commit. */
  #proven: PartitionState | null = null

  constructor(partition: number) {
    this.partition = partition
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The only place where the phase changes. Entering `assigned` or `revoked` drops all uncommitted work. */
  enter(phase: Phase): void {
    if (!ALLOWED[this.#phase].includes(phase))
      throw new Error(`partition ${this.partition}: invalid phase change ${this.#phase} → ${phase}`)
    this.#phase = phase
    if (phase === 'assigned' || phase === 'revoked') {
      this.state = null
      this.share = null
    }
  }

  moveTo(offset: number, epoch = -1): void {
    this.position = offset
    this.positionEpoch = epoch
  }

  get readable(): boolean {
    return (this.#phase === 'restoring' || this.#phase === 'running') && !this.state?.finished
  }

  /** First offset that the results do not include. Requires a state. */
  get committed(): number {
    return this.share?.commit.fromOffset ?? this.state!.uncommittedFrom
  }

  /** Notes the ends of the log by a fetch response at `now`. */
  observe(highWatermark: number, lastStableOffset: number, now: number): void {
    if (lastStableOffset !== this.lastStableOffset || lastStableOffset >= highWatermark) this.stableOffsetSince = now
    this.#fetchedAt = now
    this.highWatermark = this.logEnd = highWatermark
    this.lastStableOffset = lastStableOffset
  }

  /** How long the last stable offset had stood still below the high watermark at the last fetch, ms. */
  get stableOffsetStoodMs(): number {
    return this.undecided > 0 ? this.#fetchedAt - this.stableOffsetSince : 0
  }

  /** Claimed and not halted: its records are read and committed. */
  get active(): boolean {
    return this.#phase === 'restoring' || this.#phase === 'running' || this.#phase === 'draining'
  }

  /** Notes that the store has accepted an empty commit for the claim with this state. */
  prove(state: PartitionState): void {
    this.#proven = state
  }

  get committable(): boolean {
    return this.active && this.#proven === this.state
  }

  /** Offsets that cannot be read before open transactions end. */
  get undecided(): number {
    return this.lastStableOffset < 0 ? 0 : Math.max(0, this.highWatermark - this.lastStableOffset)
  }

  /** True when all of the log is read and committed: only then may the partition become idle (FLIP-471). */
  get caughtUp(): boolean {
    const { state, share } = this
    if (this.#phase !== 'running' || !state || share || state.dirty) return false
    return this.highWatermark >= 0 && state.nextOffset >= this.highWatermark
  }
}
