import { describe, expect, it } from 'vitest'
import { type ComparisonRules, compareRows, linesColumn } from '#verify/compare.ts'
import { type Cell, numberText, rowText } from '#verify/rows.ts'
import { type BASE, specOf } from './support.ts'

type Row = [key: string, ...values: Cell[]]

async function compare(expected: Row[], found: Row[], rules: ComparisonRules = {}) {
  const rows = new Map(expected.map(([key, ...values]) => [rowText([key]), rowText(values)]))
  async function* reader() {
    for (const [key, ...values] of found) yield { key: rowText([key]), values: rowText(values) }
  }
  return compareRows({ name: 't', key: ['k'], values: ['revenue', 'orders'], rows }, reader(), rules)
}

describe('compareRows', () => {
  it('finds no difference between equal rows', async () => {
    const rows: Row[] = [
      ['a', '1', '1'],
      ['b', '2', '2'],
    ]
    expect(await compare(rows, [...rows].reverse(), { linesAt: 1 })).toEqual({
      compared: 2,
      missing: 0,
      extra: 0,
      unequal: 0,
      lost: 0,
      doubled: 0,
      examples: [],
    })
  })

  it.each<[string, Row[], Row[], object]>([
    ['missing', [['a', '9', '4']], [], { compared: 0, missing: 1, lost: 4, doubled: 0 }],
    ['extra', [], [['a', '9', '4']], { compared: 0, extra: 1, lost: 0, doubled: 4 }],
    [
      'a row twice',
      [['a', '9', '4']],
      [
        ['a', '9', '4'],
        ['a', '9', '4'],
      ],
      { compared: 1, extra: 1, doubled: 4 },
    ],
    ['too few', [['a', '9', '4']], [['a', '9', '1']], { compared: 1, unequal: 1, lost: 3, doubled: 0 }],
    ['too many', [['a', '9', '4']], [['a', '9', '6']], { compared: 1, unequal: 1, lost: 0, doubled: 2 }],
    ['another amount', [['a', '9', '4']], [['a', '8', '4']], { compared: 1, unequal: 1, lost: 0, doubled: 0 }],
    [
      'a sale in the wrong row',
      [
        ['a', '9', '4'],
        ['b', '1', '1'],
      ],
      [
        ['a', '8', '3'],
        ['b', '2', '2'],
      ],
      { unequal: 2, lost: 1, doubled: 1 },
    ],
  ])('counts lost and doubled lines: %s', async (_, expected, found, result) => {
    expect(await compare(expected, found, { linesAt: 1 })).toMatchObject(result)
  })

  it('counts each wrong row as one sale when no column counts lines', async () => {
    const result = await compare(
      [
        ['a', '9', '4'],
        ['b', '1', '1'],
      ],
      [
        ['a', '8', '4'],
        ['c', '1', '1'],
      ],
    )
    expect(result).toMatchObject({ missing: 1, extra: 1, unequal: 1, lost: 2, doubled: 1 })
  })

  it('accepts the absence of a row that may be absent, but no wrong value', async () => {
    const mayBeAbsent = () => true
    expect(await compare([['a', '1', '1']], [], { mayBeAbsent })).toMatchObject({ missing: 0, lost: 0 })
    expect(await compare([['a', '1', '1']], [['a', '2', '1']], { mayBeAbsent })).toMatchObject({ unequal: 1 })
  })

  it('reports the first three examples of each kind of difference', async () => {
    const expected = Array.from({ length: 5 }, (_, index): Row => [`k${index}`, '1', '1'])
    const { examples, missing } = await compare(expected, [])
    expect(missing).toBe(5)
    expect(examples).toEqual([0, 1, 2].map(index => `missing k=k${index}: expected revenue=1 orders=1`))
  })
})

describe('linesColumn', () => {
  const columns = ['window_end', 'mean_sum', 'mean_count', 'mean', 'orders']
  const count = { name: 'orders', op: 'count' as const }
  const mean = { name: 'mean', op: 'average' as const, of: 'amount' }
  const of = (...measures: (typeof BASE.aggregations)[number]['measures']) =>
    linesColumn(specOf({ aggregations: [{ name: 'a', measures }] }).rules.aggregations[0]!, columns)

  it('finds the column that counts lines: a count, else the count of an average, else none', () => {
    expect(of(mean, count)).toBe(4)
    expect(of(mean, { ...count, of: 'events' })).toBe(2)
    expect(of({ ...count, of: 'events' })).toBeNull()
  })
})

it.each([
  ['12.50', '12.5'],
  ['100', '100'],
  ['1.000', '1'],
  ['-0.00', '0'],
  ['-0.10', '-0.1'],
  ['0.05', '0.05'],
])('formats %s as %s', (text, expected) => {
  expect(numberText(text)).toBe(expected)
})
