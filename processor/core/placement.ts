/** Decides where to start reading a claimed partition, from what the log still has (contract, section 11). */
import { DELETE_RESULTS } from '#pipeline/advice.ts'
import type { Claim } from './claim.ts'

export type Placement =
  | { read: number; skipped: boolean; historyLost: boolean }
  | { stop: 'LogTruncated' | 'OffsetOutOfRange'; message: string }

export type LogBounds = {
  /** First offset of the log. */
  earliest: number
  /** The offset after its last record (high watermark). */
  end: number
  /** End offset of the last counted record's leader epoch in the current log; null: unknown (KIP-320). */
  epochEnd: number | null
}

export function placeReading(claim: Claim, bounds: LogBounds, offsetOutOfRange: 'stop' | 'skip'): Placement {
  const { partition, nextOffset, restoreOffset } = claim
  const { earliest, end, epochEnd } = bounds
  if (end < nextOffset)
    return {
      stop: 'LogTruncated',
      message: `partition ${partition} ends at offset ${end}, but results are stored up to offset ${nextOffset}: Kafka lost records. Restore the topic, or ${DELETE_RESULTS}`,
    }
  if (epochEnd !== null && epochEnd < nextOffset)
    return {
      stop: 'LogTruncated',
      message: `the records of partition ${partition} changed at offset ${epochEnd} and later, but results are stored up to offset ${nextOffset}: the new leader is a replica without the counted records. Restore the topic, or ${DELETE_RESULTS}`,
    }
  if (earliest > nextOffset && offsetOutOfRange === 'stop')
    return {
      stop: 'OffsetOutOfRange',
      message: `retention removed offsets ${nextOffset} to ${earliest - 1} of partition ${partition} before they were read. To continue without them, set spec.source.offsetOutOfRange to "skip"`,
    }
  const read = Math.max(restoreOffset, earliest)
  return { read, skipped: earliest > nextOffset, historyLost: earliest > restoreOffset }
}
