/** Determines the outcome of an unanswered or fenced commit from its progress row (contract, section 3). */
import type { Progress } from './claim.ts'
import type { PartitionCommit } from './commit.ts'

/**
 * committed: it is stored, count it as done. retry: it is not stored and the owner is the same, send the same deltas
 * again. moved: the owner is the same, but the row changed (by a failover): restore from it. lost: another owner.
 */
export type Outcome = 'committed' | 'retry' | 'moved' | 'lost'

export function outcomeOf(commit: PartitionCommit, row: Progress | undefined): Outcome {
  if (!row || row.epoch !== commit.epoch || row.token !== commit.token) return 'lost'
  if (row.nextOffset === commit.nextOffset && row.nextLine === commit.nextLine) return 'committed'
  if (row.nextOffset === commit.fromOffset && row.nextLine === commit.fromLine) return 'retry'
  return 'moved'
}
