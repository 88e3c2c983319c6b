/** Which windows may lack records (section 5), calculated by hand. */
import { describe, expect, it } from 'vitest'
import { Recomputation } from '#verify/recompute.ts'
import { BASE, historyOf, record, specOf } from './support.ts'

const S = 1000
const WITH = specOf({ allowedLateness: '10s', watermark: { outOfOrderness: '5s', maxFutureSkew: '1d' } })
const WITHOUT = specOf({ aggregations: [{ ...BASE.aggregations[0]!, name: 'other' }] })

/** `entries`: offset, whether the spec has the aggregation, whether a release up to 0.3.0 wrote the entry. */
type Entries = [from: number, has: boolean, old?: boolean][]

/** Returns which of the windows that start at minutes −2 to 5 are partial. `times`: event times, from the first entry on. */
function partialMinutes(entries: Entries, times: number[]): number[] {
  const stretches = entries.map(([from, has, old = false], i) => ({
    from,
    generation: { number: i + 1, rules: (has ? WITH : WITHOUT).rules },
    recorded: !old,
  }))
  const generations = stretches.map(({ generation }) => generation)
  const recomputation = new Recomputation(WITH, historyOf(WITH, { stretches: new Map([[0, stretches]]), generations }))
  times.forEach((seconds, i) => {
    recomputation.add(record(entries[0]![0] + i, { at: seconds * S }))
  })
  const isPartial = recomputation.partialWindows(WITH.rules.aggregations[0]!)
  return [-2, -1, 0, 1, 2, 3, 4, 5].filter(minute => isPartial(minute * 60 * S))
}

describe('partial windows', () => {
  it.each<[name: string, entries: Entries, times: number[], partial: number[]]>([
    ['none, if it starts at offset 0', [[0, true]], [0, 60], []],
    [
      'those that began before it',
      [
        [0, false],
        [2, true],
      ],
      [0, 60, 120, 180],
      [-2, -1, 0, 1],
    ],
    [
      'those that the removed records can belong to',
      [
        [0, true],
        [1, false],
        [2, true],
      ],
      [135, 180, 240],
      [2, 3],
    ],
    [
      'none, if no event was left out',
      [
        [0, false],
        [0, true],
      ],
      [0, 60],
      [],
    ],
    [
      'those of the gap, if the log ends in it',
      [
        [0, false],
        [1, true],
      ],
      [60],
      [-2, -1, 0, 1],
    ],
    ['the first ones, if it starts behind offset 0', [[7, true]], [55, 240], [-2, -1, 0, 1]],
    [
      'none of a gap that an older release ended',
      [
        [0, false],
        [1, true, true],
      ],
      [60, 60],
      [],
    ],
    [
      'all up to the end, if an older release removed it',
      [
        [0, true],
        [1, false, true],
        [2, true],
      ],
      [135, 180],
      [-2, -1, 0, 1, 2, 3],
    ],
  ])('finds partial windows: %s', (_, entries, times, partial) =>
    expect(partialMinutes(entries, times)).toEqual(partial),
  )
})
