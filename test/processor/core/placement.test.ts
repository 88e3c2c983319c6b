import { describe, expect, it } from 'vitest'
import type { Claim } from '#processor/core/claim.ts'
import { placeReading } from '#processor/core/placement.ts'

/** Counted up to offset 100, restored from offset 60. */
const claim = { partition: 3, nextOffset: 100, restoreOffset: 60 } as Claim
const log = (bounds: Partial<{ earliest: number; end: number; epochEnd: number | null }>) => ({
  earliest: 0,
  end: 500,
  epochEnd: null,
  ...bounds,
})

describe('placeReading (section 11)', () => {
  it('starts where the deduplication set can be rebuilt', () => {
    const placement = { read: 60, skipped: false, historyLost: false }
    expect(placeReading(claim, log({}), 'stop')).toEqual(placement)
    expect(placeReading(claim, log({ earliest: 60, end: 100, epochEnd: 100 }), 'stop')).toEqual(placement)
  })

  it('starts at the log’s first record when retention removed the history', () => {
    const placement = { read: 80, skipped: false, historyLost: true }
    expect(placeReading(claim, log({ earliest: 80 }), 'stop')).toEqual(placement)
    expect(placeReading(claim, log({ earliest: 100 }), 'stop')).toEqual({ ...placement, read: 100 })
  })

  it('stops when retention removed uncounted records, unless the spec says to skip them', () => {
    expect(placeReading(claim, log({ earliest: 101 }), 'stop')).toMatchObject({
      stop: 'OffsetOutOfRange',
      message: expect.stringMatching(/offsets 100 to 100 of partition 3 .*offsetOutOfRange to "skip"/),
    })
    const skipped = { read: 101, skipped: true, historyLost: true }
    expect(placeReading(claim, log({ earliest: 101 }), 'skip')).toEqual(skipped)
  })

  it('stops when the log was truncated, or grew again with other records', () => {
    expect(placeReading(claim, log({ end: 99 }), 'skip')).toMatchObject({
      stop: 'LogTruncated',
      message: expect.stringMatching(/partition 3 ends at offset 99.*up to offset 100/),
    })
    expect(placeReading(claim, log({ epochEnd: 70 }), 'skip')).toMatchObject({
      stop: 'LogTruncated',
      message: expect.stringMatching(/partition 3 lost its records from offset 70 on/),
    })
  })
})
