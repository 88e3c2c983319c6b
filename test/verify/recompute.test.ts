/** Sections 5 and 6 of the contract, on histories small enough to calculate by hand. Times are in seconds. */
import { describe, expect, it } from 'vitest'
import type { WrittenDocument } from '#verify/spec.ts'
import { sumLate } from '#verify/verdict.ts'
import { aggregated, BASE, historyOf, recompute, record, rowsOf, specOf } from './support.ts'

const S = 1000

/** Returns a sale of category a at `seconds`. */
function at(seconds: number, more: object = {}): object {
  return { at: seconds * S, category: 'a', ...more }
}

/** Returns the base aggregation with changed settings. */
function aggregation(more: Partial<WrittenDocument['spec']['aggregations'][number]> = {}) {
  return { aggregations: [{ ...BASE.aggregations[0]!, ...more }] }
}

/** Lines and orders by product. */
const bySku = specOf({
  event: {
    time: { path: 'at', format: 'epoch' },
    explode: { path: 'lines', fields: [{ name: 'sku' }] },
  },
  aggregations: [
    {
      name: 'by_sku',
      groupBy: ['sku'],
      measures: [
        { name: 'lines', op: 'count' },
        { name: 'events', op: 'count', of: 'events' },
      ],
    },
  ],
})

describe('tumbling windows', () => {
  //      0         60        120
  //      [---------)[--------)
  //     -1 0    59  60
  it('aligns half-open tumbling windows to the epoch', () => {
    const spec = specOf({ watermark: { outOfOrderness: '10m', maxFutureSkew: '1d' } })
    expect(aggregated(spec, recompute(spec, [at(0), at(59.999), at(60), at(-0.001)]))).toEqual([
      [0, 'a', 60 * S, '2', '2'],
      [60 * S, 'a', 120 * S, '1', '1'],
      [-60 * S, 'a', 0, '1', '1'],
    ])
  })

  //          15        75
  //  -45     [---------)
  //  [-------)
  //        14.999 15
  it('shifts tumbling windows by their offset', () => {
    const spec = specOf({
      window: { size: '1m', offset: '15s' },
      watermark: { outOfOrderness: '10m', maxFutureSkew: '1d' },
    })
    const starts = aggregated(spec, recompute(spec, [at(14.999), at(15)])).map(([start]) => start)
    expect(starts).toEqual([-45 * S, 15 * S])
  })
})

describe('sliding windows', () => {
  // slide 20, size 60; a sale at 70 lies in
  //      20                  80
  //      [-------------------)
  //            40                  100
  //            [-------------------)
  //                  60                  120
  //                  [-------------------)
  it('adds an event to each sliding window that contains it', () => {
    const spec = specOf({ window: { type: 'sliding', size: '60s', slide: '20s' } })
    expect(aggregated(spec, recompute(spec, [at(70)])).map(([start, , end]) => [start, end])).toEqual([
      [20 * S, 80 * S],
      [40 * S, 100 * S],
      [60 * S, 120 * S],
    ])
  })

  // The watermark is 90: a sale at 70 misses the first of its three windows, [20, 80).
  it('misses only the closed sliding windows of a late event', () => {
    const spec = specOf({ window: { type: 'sliding', size: '60s', slide: '20s' } })
    const recomputation = recompute(spec, [at(90), at(70)])
    expect(rowsOf(recomputation.lateTable()).map(row => row.slice(0, 6))).toEqual([
      [0, 1, 'summary', 70 * S, [20 * S], 'false'],
    ])
    expect(recomputation.partition(0)).toMatchObject({ accepted: 2, late: 0 })
    expect(recomputation.partition(0).aggregations.get('summary')).toEqual({
      accepted: 2,
      late: 0,
      on_time: 2,
      partly_late: 1,
      missed_windows: 1,
      added: 5,
      missed: 1,
    })
    const late = sumLate([...recomputation.partitions.values()], spec.rules.aggregations)
    expect(late).toEqual({ summary: { late: 0, partly: 1 } })
  })
})

describe('one window over all time', () => {
  it('never closes the window over all time', () => {
    const spec = specOf({ window: { type: 'none' } })
    expect(aggregated(spec, recompute(spec, [at(1e4), at(0)]))).toEqual([['-infinity', 'a', 'infinity', '2', '2']])
  })
})

describe('lateness', () => {
  // outOfOrderness 5, allowedLateness 10: [0, 60) is missed once the watermark reaches 70, so after a sale at 75.
  const spec = specOf({ watermark: { outOfOrderness: '5s', maxFutureSkew: '1d' }, allowedLateness: '10s' })

  it.each([
    [74.999, 0],
    [75, 1],
  ])('after a sale at %d, counts %i late for a sale at 0', (seconds, late) => {
    const recomputation = recompute(spec, [at(seconds), at(0)])
    expect(recomputation.partition(0)).toMatchObject({ accepted: 2, late })
    expect(recomputation.late.size).toBe(late)
  })

  it('judges lateness by earlier records, not by the record itself', () => {
    expect(recompute(spec, [at(1000)]).partition(0).late).toBe(0)
  })

  it('judges lateness separately in each partition', () => {
    const recomputation = recompute(spec, [at(1000)])
    recomputation.add({ ...record(0, at(0)), partition: 1 })
    expect(recomputation.partition(1)).toMatchObject({ accepted: 1, late: 0 })
  })

  it('advances the watermark by duplicates, but not by dead records', () => {
    const deduplicated = specOf({ event: { ...BASE.event, id: 'id' }, deduplication: { horizon: '1h' } })
    const sale = (seconds: number, id: string | null) => at(seconds, { id })
    expect(recompute(deduplicated, [sale(1000, null), sale(0, 'x')]).partition(0).late).toBe(0)
    const moved = recompute(deduplicated, [sale(0, 'x'), sale(1000, 'x'), sale(0, 'y')])
    expect(moved.partition(0)).toMatchObject({ duplicate: 1, accepted: 2, late: 1 })
  })

  it('judges lateness separately for each aggregation', () => {
    const [first] = BASE.aggregations
    const two = specOf({
      aggregations: [first!, { ...first!, name: 'patient', allowedLateness: '1h' }],
      raw: { table: 'sales' },
    })
    const recomputation = recompute(two, [at(100), at(0)])
    expect(recomputation.partition(0)).toMatchObject({ accepted: 2, late: 0 })
    expect(rowsOf(recomputation.lateTable()).map(row => row[2])).toEqual(['summary'])
    expect(recomputation.raw.size).toBe(2)
  })

  it('keeps a sale that is late for every aggregation out of the raw table', () => {
    const raw = specOf({ raw: { table: 'sales' } })
    const rows = rowsOf(recompute(raw, [at(100, { amount: '1.50' }), at(0)]).rawTable()!)
    expect(rows).toEqual([[0, 0, 0, 100 * S, 'a', '1.5']])
  })
})

describe('duplicates', () => {
  /** Returns the offsets of the duplicates among sales given as [seconds, id]. */
  function duplicates(rule: { horizon?: string; maxIds?: number }, sales: [number, string | number][]): number[] {
    const spec = specOf({ event: { ...BASE.event, id: 'id' }, deduplication: rule })
    const found: number[] = []
    const recomputation = recompute(spec, [])
    sales.forEach(([seconds, id], offset) => {
      const before = recomputation.partition(0).duplicate
      recomputation.add(record(offset, at(seconds, { id })))
      if (recomputation.partition(0).duplicate > before) found.push(offset)
    })
    return found
  }

  it.each<[string, { horizon?: string; maxIds?: number }, [number, string][], number[]]>([
    [
      'an id seen before',
      {},
      [
        [0, 'x'],
        [1, 'y'],
        [2, 'x'],
      ],
      [2],
    ],
    [
      'exactly as old as the horizon',
      { horizon: '10s' },
      [
        [0, 'x'],
        [10, 'x'],
      ],
      [1],
    ],
    [
      'older than the horizon',
      { horizon: '10s' },
      [
        [0, 'x'],
        [10.001, 'x'],
      ],
      [],
    ],
    [
      'age is counted from the last sighting',
      { horizon: '10s' },
      [
        [0, 'x'],
        [8, 'x'],
        [16, 'x'],
      ],
      [1, 2],
    ],
    [
      'age is counted by the greatest time so far',
      { horizon: '10s' },
      [
        [100, 'y'],
        [0, 'x'],
        [105, 'x'],
      ],
      [2],
    ],
    [
      'a jump ahead forgets',
      { horizon: '10s' },
      [
        [0, 'x'],
        [100, 'y'],
        [0, 'x'],
      ],
      [],
    ],
    [
      'beyond maxIds',
      { maxIds: 2 },
      [
        [0, 'x'],
        [0, 'y'],
        [0, 'z'],
        [0, 'x'],
      ],
      [],
    ],
    [
      'within maxIds',
      { maxIds: 2 },
      [
        [0, 'x'],
        [0, 'y'],
        [0, 'x'],
        [0, 'z'],
        [0, 'x'],
        [0, 'y'],
      ],
      [2, 4],
    ],
    [
      'one id alone',
      { maxIds: 1 },
      [
        [0, 'x'],
        [0, 'x'],
        [0, 'y'],
        [0, 'x'],
      ],
      [1],
    ],
    [
      'late records are remembered',
      {},
      [
        [1000, 'y'],
        [0, 'x'],
        [1000, 'x'],
      ],
      [2],
    ],
    [
      'an empty id is one',
      {},
      [
        [0, ''],
        [0, ''],
      ],
      [1],
    ],
  ])('finds duplicates: %s', (_, rule, sales, expected) => {
    expect(duplicates({ horizon: '1h', ...rule }, sales)).toEqual(expected)
  })

  it('counts duplicates separately and adds them to no row', () => {
    const spec = specOf({ event: { ...BASE.event, id: 'id' }, deduplication: {}, raw: { table: 'sales' } })
    const recomputation = recompute(spec, [at(0, { id: 1 }), at(0, { id: 1 }), at(0)])
    expect(recomputation.partition(0)).toMatchObject({ records: 3, dead: 1, duplicate: 1, accepted: 1 })
    expect(aggregated(spec, recomputation)).toEqual([[0, 'a', 60 * S, '1', '1']])
    expect(recomputation.raw.size).toBe(1)
  })

  it('remembers many ids and forgets those beyond the horizon', () => {
    const sales = Array.from({ length: 30_000 }, (_, index): [number, string] => [index, `id-${index}`])
    expect(duplicates({ horizon: '5s' }, [...sales, [29_999, 'id-29995'], [29_999, 'id-29000']])).toEqual([30_000])
  })
})

describe('spec history', () => {
  const strict = specOf()
  const patient = specOf({ allowedLateness: '1h' })
  const generations = (from: number) => ({
    stretches: new Map([
      [
        0,
        [
          { from: 0, generation: { number: 1, rules: strict.rules }, recorded: true },
          { from, generation: { number: 2, rules: patient.rules }, recorded: true },
        ],
      ],
    ]),
  })

  it.each([
    [2, 0],
    [3, 1],
  ])('applies a new lateness from offset %i on: %i late', (from, late) => {
    const recomputation = recompute(patient, [at(0), at(1000), at(0)], historyOf(patient, generations(from)))
    expect(recomputation.partition(0).late).toBe(late)
  })

  it('starts an aggregation with the generation that introduced it', () => {
    const history = historyOf(patient, { ...generations(1), introduced: new Map([['summary', 2]]) })
    const recomputation = recompute(patient, [at(0), at(0)], history)
    expect(aggregated(patient, recomputation)).toEqual([[0, 'a', 60 * S, '1', '1']])
    expect(recomputation.partition(0).aggregations.get('summary')).toMatchObject({ accepted: 1, on_time: 1 })
  })

  it('does not remember again what a shorter horizon forgot', () => {
    const withHorizon = (horizon: string) => specOf({ event: { ...BASE.event, id: 'id' }, deduplication: { horizon } })
    const [short, long] = [withHorizon('10s'), withHorizon('1h')]
    const history = historyOf(long, {
      stretches: new Map([
        [
          0,
          [
            { from: 0, generation: { number: 1, rules: short.rules }, recorded: true },
            { from: 3, generation: { number: 2, rules: long.rules }, recorded: true },
          ],
        ],
      ]),
    })
    const sales = [at(0, { id: 'old' }), at(15, { id: 'kept' }), at(20, { id: 'x' }), at(40, { id: 'old' })]
    const recomputation = recompute(long, [...sales, at(40, { id: 'kept' })], history)
    expect(recomputation.partition(0)).toMatchObject({ accepted: 4, duplicate: 1 })
  })
})

describe('measures', () => {
  const amounts = (...values: (string | number)[]) => values.map(amount => at(0, { amount }))
  const measures = (...measures: WrittenDocument['spec']['aggregations'][number]['measures']) =>
    specOf(aggregation({ groupBy: [], measures }))

  it('sums amounts exactly, refunds too', () => {
    const spec = measures({ name: 'revenue', op: 'sum', of: 'amount' })
    expect(aggregated(spec, recompute(spec, amounts(0.1, 0.2, '-1000000000000000000.05', 1e3)))).toEqual([
      [0, 60 * S, '-999999999999998999.75'],
    ])
  })

  it('finds the smallest and largest amount', () => {
    const spec = measures({ name: 'smallest', op: 'min', of: 'amount' }, { name: 'largest', op: 'max', of: 'amount' })
    expect(aggregated(spec, recompute(spec, amounts(10, 9, -9.5, 10.5)))).toEqual([[0, 60 * S, '-9.5', '10.5']])
  })

  it.each([
    ['down to even', ['0.10', '0.15'], '0.12'],
    ['up to even', ['0.13', '0.14'], '0.14'],
    ['negative', ['-0.10', '-0.15'], '-0.12'],
    ['below the tie', ['0.10', '0.10', '0.11'], '0.1'],
    ['to no negative zero', ['-0.01', '0', '0'], '0'],
  ])('rounds averages half-even: %s', (_, values, shown) => {
    const spec = measures({ name: 'x', op: 'average', of: 'amount', scale: 2 })
    const [row] = aggregated(spec, recompute(spec, amounts(...values)))
    expect(row!.slice(3)).toEqual([String(values.length), shown])
  })

  it('rounds a sum once, half-even, and keeps the exact sum', () => {
    const spec = measures({ name: 'fee', op: 'sum', of: 'amount * 0.0005', scale: 2 })
    // 1000 times 0.0005 is 0.5; each 0.0005 alone would be rounded to 0.00.
    expect(aggregated(spec, recompute(spec, amounts(...Array(1000).fill('1.00'))))).toEqual([[0, 60 * S, '0.5', '0.5']])
    expect(aggregated(spec, recompute(spec, amounts('10.00')))).toEqual([[0, 60 * S, '0.005', '0']])
    expect(aggregated(spec, recompute(spec, amounts('-30.00')))).toEqual([[0, 60 * S, '-0.015', '-0.02']])
  })

  it('rounds an average once, from the exact sum', () => {
    const spec = measures({ name: 'mean', op: 'average', of: 'amount * 0.01', scale: 2 })
    // 4.1160 and 9.5520: rounded first, they would give 13.67 ÷ 2 = 6.835 → 6.84.
    expect(aggregated(spec, recompute(spec, amounts('411.60', '955.20')))).toEqual([[0, 60 * S, '13.668', '2', '6.83']])
  })

  it('rounds the smallest and largest result', () => {
    const least = { name: 'least', op: 'min' as const, of: 'amount * 0.01', scale: 2 }
    const spec = measures(least, { ...least, name: 'most', op: 'max' })
    expect(aggregated(spec, recompute(spec, amounts('-0.40', '411.50', '411.60')))).toEqual([[0, 60 * S, '0', '4.12']])
  })

  it('rounds each event half-even with roundEach, never the sum', () => {
    const spec = measures({ name: 'fee', op: 'sum', of: 'amount * 0.5', scale: 2, roundEach: true })
    // Three times 0.005 → 0.00, and 0.015 → 0.02. The exact sum is 0.03; rounding half up would give 0.05.
    expect(aggregated(spec, recompute(spec, amounts('0.01', '0.01', '0.01', '0.03')))).toEqual([[0, 60 * S, '0.02']])
  })

  it('keeps the natural scale of an expression: a product adds scales', () => {
    const spec = measures({ name: 'square', op: 'sum', of: 'amount * (amount - 0.001)' })
    expect(aggregated(spec, recompute(spec, amounts('0.01')))).toEqual([[0, 60 * S, '0.00009']])
  })

  it('counts lines, or events', () => {
    const recomputation = recompute(bySku, [
      { at: 0, lines: [{ sku: 'a' }, { sku: 'a' }, { sku: 'b' }] },
      { at: 0, lines: [{ sku: 'a' }] },
    ])
    expect(aggregated(bySku, recomputation)).toEqual([
      [0, 'a', 60 * S, '3', '2'],
      [0, 'b', 60 * S, '1', '1'],
    ])
    expect(recomputation.partition(0).aggregations.get('by_sku')).toMatchObject({ added: 4, missed: 0 })
  })

  it('takes the amount of an order once per row, or once per line', () => {
    const total = { op: 'sum' as const, of: 'total' }
    const orders = specOf({
      event: {
        time: { path: 'at', format: 'epoch' },
        fields: [{ name: 'total', type: 'decimal' }],
        explode: { path: 'lines', fields: [{ name: 'sku' }] },
      },
      aggregations: [
        {
          name: 'by_sku',
          groupBy: ['sku'],
          measures: [
            { name: 'orders', op: 'count', per: 'events' },
            { name: 'once', ...total, per: 'events' },
            { name: 'mean', ...total, op: 'average', per: 'events' },
            { name: 'each', ...total, per: 'lines' },
          ],
        },
      ],
    })
    const recomputation = recompute(orders, [
      { at: 0, total: '97.90', lines: [{ sku: 'a' }, { sku: 'a' }, { sku: 'b' }] },
      { at: 0, total: '2.10', lines: [{ sku: 'a' }] },
    ])
    expect(aggregated(orders, recomputation)).toEqual([
      [0, 'a', 60 * S, '2', '100', '100', '2', '50', '197.9'],
      [0, 'b', 60 * S, '1', '97.9', '97.9', '1', '97.9', '97.9'],
    ])
  })
})

describe('a record that is counted in parts', () => {
  const order = { at: 0, lines: [{ sku: 'a' }, { sku: 'a' }, { sku: 'b' }] }

  it('adds the first lines of a record to the rows, and to the counter of lines alone', () => {
    const recomputation = recompute(bySku, [order])
    recomputation.addLines(record(1, order), 2)
    expect(aggregated(bySku, recomputation)).toEqual([
      [0, 'a', 60 * S, '4', '2'],
      [0, 'b', 60 * S, '1', '1'],
    ])
    const { aggregations, ...counters } = recomputation.partition(0)
    expect(counters).toMatchObject({ records: 1, accepted: 1, maxEventTime: 0 })
    expect(aggregations.get('by_sku')).toMatchObject({ accepted: 1, added: 5, on_time: 1 })
  })

  it('expects a dead letter when PostgreSQL rejects a later line, and keeps the first lines', () => {
    const rejected = new Map([['0/0', { field: null, countedLines: 1 }]])
    const recomputation = recompute(bySku, [order], historyOf(bySku, { rejected }))
    expect(aggregated(bySku, recomputation)).toEqual([[0, 'a', 60 * S, '1', '1']])
    expect(recomputation.partition(0)).toMatchObject({ dead: 1, accepted: 0, maxEventTime: Number.NEGATIVE_INFINITY })
  })
})

describe('dead letters', () => {
  it('records dead letters with reason and field, under the topic id', () => {
    const recomputation = recompute(specOf(), [null, at(0, { amount: true })])
    expect(rowsOf(recomputation.deadTable()).map(row => row.slice(0, 5))).toEqual([
      ['topic', 0, 0, 'tombstone', null],
      ['topic', 0, 1, 'wrong_type', 'amount'],
    ])
  })

  it('trusts the dead_letters table only about what PostgreSQL rejected', () => {
    const spec = specOf()
    const rejected = new Map([
      ['0/0', { field: 'category', countedLines: 0 }],
      ['0/1', { field: 'category', countedLines: 0 }],
    ])
    const recomputation = recompute(spec, [at(0), 'no JSON', at(0)], historyOf(spec, { rejected }))
    expect(rowsOf(recomputation.deadTable()).map(row => row.slice(3, 5))).toEqual([
      ['store_rejected', 'category'],
      ['not_json', null],
    ])
    expect(recomputation.storeRejected).toBe(1)
    expect(recomputation.partition(0)).toMatchObject({ dead: 2, accepted: 1 })
  })
})
