/** What became of a commit whose answer was lost or refused: read the progress row and decide (contract, section 3). */
import type { Progress } from './claim.ts'
import type { PartitionCommit } from './commit.ts'

/**
 * committed: it is there, count it as done. retry: it is not there and still ours, send the same deltas again.
 * moved: ours, but the row went elsewhere (a failover went back): restore from the row. lost: somebody else owns it.
 */
export type Outcome = 'committed' | 'retry' | 'moved' | 'lost'

export function outcomeOf(commit: PartitionCommit, row: Progress | undefined): Outcome {
  if (!row || row.epoch !== commit.epoch || row.token !== commit.token) return 'lost'
  if (row.nextOffset === commit.nextOffset) return 'committed'
  if (row.nextOffset === commit.fromOffset) return 'retry'
  return 'moved'
}
