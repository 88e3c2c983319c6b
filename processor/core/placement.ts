/** Where to start reading a claimed partition, given what the log still holds (contract, section 11). */
import type { Claim } from '#processor/ports.ts'

export type Placement =
  | { read: number; skipped: boolean; historyLost: boolean }
  | { stop: 'LogTruncated' | 'OffsetOutOfRange'; message: string }

/** `earliest`: first offset of the log; `end`: the offset after its last record (high watermark). */
export function placeReading(claim: Claim, earliest: number, end: number, whenGone: 'stop' | 'skip'): Placement {
  const { partition, nextOffset, restoreOffset } = claim
  if (end < nextOffset)
    return {
      stop: 'LogTruncated',
      message: `partition ${partition} ends at offset ${end}, but results are stored up to ${nextOffset}: the log lost records. Restore the topic, or start over with an empty schema`,
    }
  if (earliest > nextOffset && whenGone === 'stop')
    return {
      stop: 'OffsetOutOfRange',
      message: `offsets ${nextOffset} to ${earliest - 1} of partition ${partition} were removed by retention before they were read. Set spec.source.offsetOutOfRange: skip to go on without them`,
    }
  const read = Math.max(restoreOffset, earliest)
  return { read, skipped: earliest > nextOffset, historyLost: earliest > restoreOffset }
}
