/** The laws of conservation (contract, section 6), checked on every commit. */
import type { Commit } from '#processor/core/commit.ts'

export const LAWS = ['offsets', 'verdicts', 'lateness'] as const
export type Law = (typeof LAWS)[number]

/** The counts that each law compares, for messages. */
export const EQUATIONS: Record<Law, string> = {
  offsets: 'offsets advanced = records + skipped',
  verdicts: 'records = dead + duplicate + accepted',
  lateness: 'accepted = late + on time for each aggregation',
}

/**
 * Returns by how much a commit breaks each law: 0 when nothing was lost or counted twice. It sums absolute values, so
 * that a surplus in one partition cannot hide a loss in another.
 */
export function imbalance(commit: Commit): Record<Law, number> {
  const off = { offsets: 0, verdicts: 0, lateness: 0 }
  for (const { fromOffset, nextOffset, counters, aggregations } of commit.partitions) {
    const { records, skipped, dead, duplicate, accepted } = counters
    off.offsets += Math.abs(nextOffset - fromOffset - records - skipped)
    off.verdicts += Math.abs(records - dead - duplicate - accepted)
    for (const { late, onTime } of aggregations) off.lateness += Math.abs(accepted - late - onTime)
  }
  return off
}
