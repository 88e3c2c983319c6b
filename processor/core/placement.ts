/** Decides where to start reading a claimed partition, from what the log still has (contract, section 11). */
import { START_OVER } from '#pipeline/start-over.ts'
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
  const counted = claim.nextLine > 0 ? nextOffset + 1 : nextOffset
  if (end < counted)
    return {
      stop: 'LogTruncated',
      message: `partition ${partition} ends at offset ${end}, but results are stored up to offset ${nextOffset}: Kafka lost records. If you have a copy of the topic with the same offsets, restore it; otherwise ${START_OVER}`,
    }
  if (epochEnd !== null && epochEnd < counted)
    return {
      stop: 'LogTruncated',
      message: `partition ${partition} lost its records from offset ${epochEnd} on, but results are stored up to offset ${nextOffset}: Kafka elected a leader that did not have these records. If you have a copy of the topic with the same offsets, restore it; otherwise ${START_OVER}`,
    }
  if (earliest > nextOffset && offsetOutOfRange === 'stop')
    return {
      stop: 'OffsetOutOfRange',
      message: `retention removed offsets ${nextOffset} to ${earliest - 1} of partition ${partition} before they were read. To continue without them, set spec.source.offsetOutOfRange to "skip"`,
    }
  const read = Math.max(restoreOffset, earliest)
  return { read, skipped: earliest > nextOffset, historyLost: earliest > restoreOffset }
}
