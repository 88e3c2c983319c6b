import { describe, expect, it } from 'vitest'
import type { Claim } from '#processor/core/claim.ts'
import { placeReading } from '#processor/core/placement.ts'

/** Counted up to 100, to be restored from 60. */
const claim = { partition: 3, nextOffset: 100, restoreOffset: 60 } as Claim
const log = (bounds: Partial<{ earliest: number; end: number; epochEnd: number | null }>) => ({
  ...{ earliest: 0, end: 500, epochEnd: null },
  ...bounds,
})

describe('where reading begins (section 11)', () => {
  it('is where the deduplication set can be rebuilt from', () => {
    const found = { read: 60, skipped: false, historyLost: false }
    expect(placeReading(claim, log({}), 'stop')).toEqual(found)
    expect(placeReading(claim, log({ earliest: 60, end: 100, epochEnd: 100 }), 'stop')).toEqual(found)
  })

  it('is the log’s first record when history fell out of retention', () => {
    const found = { read: 80, skipped: false, historyLost: true }
    expect(placeReading(claim, log({ earliest: 80 }), 'stop')).toEqual(found)
    expect(placeReading(claim, log({ earliest: 100 }), 'stop')).toEqual({ ...found, read: 100 })
  })

  it('is nowhere when records that were not counted are gone, unless the spec says to skip them', () => {
    expect(placeReading(claim, log({ earliest: 101 }), 'stop')).toMatchObject({
      stop: 'OffsetOutOfRange',
      message: expect.stringMatching(/offsets 100 to 100 of partition 3 .*offsetOutOfRange: skip/),
    })
    const skipped = { read: 101, skipped: true, historyLost: true }
    expect(placeReading(claim, log({ earliest: 101 }), 'skip')).toEqual(skipped)
  })

  it('is nowhere when the log was cut, or grew again with other records', () => {
    expect(placeReading(claim, log({ end: 99 }), 'skip')).toMatchObject({
      stop: 'LogTruncated',
      message: expect.stringMatching(/partition 3 ends at offset 99.*up to 100/),
    })
    expect(placeReading(claim, log({ epochEnd: 70 }), 'skip')).toMatchObject({
      stop: 'LogTruncated',
      message: expect.stringMatching(/partition 3 holds other records from offset 70 on/),
    })
  })
})
