/**
 * One partition in the hands of this worker, from assignment to revocation:
 *
 *   assigned → claiming → restoring → running → draining → revoked
 *       ↑__________↓__________↓__________↓                    ↑ from every phase
 *   (claim failed, fenced, or moved: claim again)      halted: claimed, but not read until a person decides
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
  /** Frozen and on its way into the store; retried until its outcome is known. */
  share: Share | null = null
  /** Next offset to ask for: ahead of state.nextOffset while an answer is worked on. */
  position = 0
  /** Of the record before it; −1 where it is not known. A leader tells when its log has another record there. */
  positionEpoch = -1
  highWatermark = -1
  lastStableOffset = -1
  /** Wall clock, ms: when data last came, for idleness. */
  lastDataAt = 0
  #phase: Phase = 'assigned'

  constructor(partition: number) {
    this.partition = partition
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The only place where the phase changes. Leaving towards `assigned` or `revoked` drops all uncommitted work. */
  enter(phase: Phase): void {
    if (!ALLOWED[this.#phase].includes(phase)) throw new Error(`partition ${this.partition}: ${this.#phase} → ${phase}`)
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
    return this.#phase === 'restoring' || this.#phase === 'running'
  }

  /** The results hold what lies before it. Only where there is a state. */
  get committed(): number {
    return this.share?.commit.fromOffset ?? this.state!.uncommittedFrom
  }

  /** Read to the end of the log with nothing left to commit: only then may idleness begin (FLIP-471). */
  get caughtUp(): boolean {
    const { state, share } = this
    if (this.#phase !== 'running' || !state || share || state.dirty) return false
    return this.highWatermark >= 0 && state.nextOffset >= this.highWatermark
  }
}
