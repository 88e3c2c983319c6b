/** Conditions that workers raise (processor/errors.ts and the flow name them) and the operator passes on. */

/** These tell of a weaker guarantee while everything still runs; all others mean that results do not go on. */
export const INFORMATIONAL: ReadonlySet<string> = new Set([
  'DeadLettersFull',
  'DeduplicationBounded',
  'WeakFutureGuard',
  'PartitionsAdded',
  'DeduplicationHistoryUnavailable',
  'OffsetsSkipped',
])
