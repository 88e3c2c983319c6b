import Big from 'big.js'
import { describe, expect } from 'vitest'
import { Rejected } from '#processor/errors.ts'
import { Random } from '#test/support/random.ts'
import {
  BY_KIND,
  byStore,
  commitNext,
  commitOf,
  type Fresh,
  letter,
  MINUTE,
  pipelineOf,
  ROUNDED,
  ready,
  T0,
  totals,
} from './fixture.ts'
import { onFresh } from './with-harness.ts'

/** Values that are known to break quoting, escaping or array syntax. */
const ODD_TEXTS = [
  '',
  ' ',
  'NULL',
  'null',
  '{}',
  '{"a",b}',
  "O'Hara",
  '"quoted"',
  'back\\slash\\',
  "'; DROP TABLE by_store; --",
  '$1',
  'a,b',
  'tab\tnew\nline\r',
  '\u0001',
  'Zürich 東京 🛒',
  'e\u0301 is not \u00e9',
  '\uFFFF',
  'x'.repeat(1024),
]

/** Sum in hundredths and count → average, rounded half to even. */
const AVERAGES: [sum: number | bigint, count: number, average: string][] = [
  [5, 2, '0.02'],
  [15, 2, '0.08'],
  [25, 2, '0.12'],
  [-5, 2, '-0.02'],
  [-15, 2, '-0.08'],
  [1, 2, '0.00'],
  [3, 2, '0.02'],
  [1, 3, '0.00'],
  [2, 3, '0.01'],
  [-2, 3, '-0.01'],
  [10, 4, '0.02'],
  [14, 4, '0.04'],
  [0, 7, '0.00'],
  [100, 1, '1.00'],
  [10n ** 32n + 1n, 2, `${'5'.padEnd(30, '0')}.00`],
  [10n ** 32n + 3n, 2, `${'5'.padEnd(30, '0')}.02`],
]

/** Divides with so many decimals that rounding to 2 afterwards is exact for the few counts of a test. */
const Exact = Big()
Exact.DP = 40

export function commitContract(fresh: Fresh): void {
  const test = onFresh(fresh)

  describe('commits without records (section 12)', () => {
    test('change nothing, and return the partitions that the worker still owns', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const seen = async () => [await harness.rows('by_store'), await harness.progress(0), await store.pending()]
      const before = await seen()
      const other = await store.claim(1, 0)
      expect(await store.commitNothing([claim, other])).toEqual([0, 1])
      expect(await store.commitNothing([claim, { ...other, token: 'guessed' }])).toEqual([0])
      expect(await store.commitNothing([{ ...claim, epoch: 9 }])).toEqual([])
      expect(await seen()).toEqual(before)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      await store.claim(0, 0)
      expect(await store.commitNothing([claim])).toEqual([])
    })
  })

  describe('commits (sections 3 and 7)', () => {
    test('adds sums and counts, and keeps minimum and maximum', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1050, 250], [T0, 'b', 1])] })
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', -399, 2000], [T0 + MINUTE, 'a', 7])] })
      const rows = await harness.rows('by_store')
      expect(rows.map(row => [row.windowStart, row.windowEnd, row.keys[0]])).toEqual([
        [T0, T0 + MINUTE, 'a'],
        [T0, T0 + MINUTE, 'b'],
        [T0 + MINUTE, T0 + 2 * MINUTE, 'a'],
      ])
      expect(rows[0]!.values).toEqual({
        orders: '4',
        revenue: '29.01',
        smallest: '-3.99',
        largest: '20.00',
        average_order_sum: '29.01',
        average_order_count: '4',
        average_order: '7.25',
      })
      expect(rows[0]).toMatchObject({ final: false, reopened: 0 })
    })

    test('raises a row’s version with every commit that changes the row, and only then', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1], [T0, 'b', 1])] })
      const before = await harness.rows('by_store')
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', 1])] })
      const after = await harness.rows('by_store')
      expect(after[0]!.version).toBeGreaterThan(before[0]!.version)
      expect(after[1]!.version).toBe(before[1]!.version)
    })

    test('sums exactly at any size and sign', async harness => {
      const { store, claim } = await ready(harness)
      const huge = 10n ** 32n
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', huge, 1], [T0, 'b', -huge])] })
      await commitNext(store, claim, { aggregates: [byStore([T0, 'a', huge], [T0, 'b', huge, -5])] })
      const [a, b] = await harness.rows('by_store')
      expect(a!.values).toMatchObject({
        revenue: `2${'0'.repeat(30)}.01`,
        largest: `1${'0'.repeat(30)}.00`,
        smallest: '0.01',
      })
      expect(b!.values).toMatchObject({
        revenue: '-0.05',
        smallest: `-1${'0'.repeat(30)}.00`,
        largest: `1${'0'.repeat(30)}.00`,
      })
    })

    test('rounds averages half to even', async harness => {
      const { store, claim } = await ready(harness)
      const stores = AVERAGES.map((_, i) => `store-${String(i).padStart(2, '0')}`)
      const sums = AVERAGES.map(([sum]) => sum)
      const counts = AVERAGES.map(([, count]) => count)
      const rows = {
        aggregation: 0,
        windowStart: stores.map(() => T0),
        keys: [stores],
        columns: [counts, sums, sums, sums, sums, counts],
      }
      await commitNext(store, claim, { aggregates: [rows] })
      const shown = (await harness.rows('by_store')).map(row => row.values.average_order)
      expect(shown).toEqual(AVERAGES.map(([, , average]) => average))
    })

    test('rounds sums and averages once, from exact amounts', async harness => {
      const { store, claim } = await ready(harness, pipelineOf(...ROUNDED))
      const random = new Random(7)
      const amounts = Array.from({ length: 200 }, () =>
        Array.from({ length: random.int(1, 4) }, () => random.int(-200_000, 200_000)),
      )
      // 4.1160 + 9.5520, and a tie: 0.0050 + 0.0000.
      amounts.push([41_160, 95_520], [50, 0], [-50, 0])
      const name = (i: number) => `store-${String(i).padStart(3, '0')}`
      for (const amount of [0, 1, 2, 3]) {
        const rows = amounts.flatMap((list, i): [number, string, number][] =>
          list[amount] === undefined ? [] : [[T0, name(i), list[amount]]],
        )
        await commitNext(store, claim, { aggregates: [byStore(...rows)] })
      }
      const expected = amounts.map(list => {
        const sum = list.reduce((total, amount) => total.plus(Big(amount).div(10_000)), Big(0))
        const shown = (value: Big) => value.toFixed(2, Big.roundHalfEven).replace(/^-(0\.00)$/, '$1')
        return [sum.toFixed(4), shown(sum), shown(Exact(sum).div(list.length))]
      })
      const rows = await harness.rows('by_store')
      expect(rows.map(({ values }) => [values.revenue_sum, values.revenue, values.average_order])).toEqual(expected)
      expect(rows.at(-3)!.values).toMatchObject({
        revenue: '13.67',
        average_order_sum: '13.6680',
        average_order: '6.83',
      })
      const document = (await store.take(1000))!.rows.find(row => row.document!.store === name(200))!.document
      expect(document).toMatchObject({ revenue_sum: '13.6680', total: '13.67', average_order: '6.83' })
    })

    test('keeps any text as a distinct key', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, {
        aggregates: [byStore(...ODD_TEXTS.map((text, i): [number, string, number] => [T0, text, i]))],
      })
      await commitNext(store, claim, {
        aggregates: [byStore(...ODD_TEXTS.map((text): [number, string, number] => [T0, text, 1000]))],
      })
      const rows = await harness.rows('by_store')
      expect(rows).toHaveLength(ODD_TEXTS.length)
      for (const [i, text] of ODD_TEXTS.entries())
        expect(rows.find(row => row.keys[0] === text)?.values.revenue).toBe(`10.${String(i).padStart(2, '0')}`)
    })

    test('keeps numbers and booleans as keys', async harness => {
      const { store, claim } = await ready(harness)
      const keys = [
        ['true', 'false', 'true'],
        ['3', '-2', '123456789012345678901234567890'],
      ]
      const rows = { aggregation: BY_KIND, windowStart: [T0, T0, T0], keys, columns: [[1, 2, 3]] }
      await commitNext(store, claim, { aggregates: [rows] })
      await commitNext(store, claim, { aggregates: [rows] })
      const stored = (await harness.rows('by_kind')).map(row => [...row.keys, row.values.orders])
      expect(stored.sort()).toEqual([
        ['false', '-2', '4'],
        ['true', '123456789012345678901234567890', '6'],
        ['true', '3', '2'],
      ])
    })

    test('keeps windows at both ends of the calendar to the millisecond, and windows over all time', async harness => {
      const { store, claim } = await ready(harness)
      const lastMinute = Date.UTC(9999, 11, 31, 23, 59)
      const beforeYearOne = Date.parse('0001-01-01T00:00:00Z') - 59_999
      const starts = [beforeYearOne, -1, 0, 1, lastMinute]
      await commitNext(store, claim, {
        aggregates: [byStore(...starts.map((start): [number, string, number] => [start, 'a', 1])), totals(['a', 5])],
      })
      const rows = await harness.rows('by_store')
      expect(rows.map(row => row.windowStart)).toEqual(starts)
      expect(rows.map(row => row.windowEnd)).toEqual(starts.map(start => start + MINUTE))
      const [total] = await harness.rows('totals')
      expect(total).toMatchObject({ windowStart: -Infinity, windowEnd: Infinity, values: { revenue: '0.05' } })
    })

    test('writes tens of thousands of rows with one commit', async harness => {
      const { store, claim } = await ready(harness)
      const rows = Array.from({ length: 45_000 }, (_, i): [number, string, number] => [
        T0 + (i % 7) * MINUTE,
        `store-${i}`,
        i,
      ])
      await commitNext(store, claim, { aggregates: [byStore(...rows)] })
      const stored = await harness.rows('by_store')
      expect(stored).toHaveLength(45_000)
      expect(stored.reduce((sum, row) => sum + BigInt(row.values.revenue!.replace('.', '')), 0n)).toBe(
        BigInt((45_000 * 44_999) / 2),
      )
    })

    test('stores late events with the windows that they missed', async harness => {
      const { store, claim } = await ready(harness)
      const late = (offset: number, missed: number[], entirely: boolean) => ({
        partition: 0,
        offset,
        aggregation: 0,
        eventTime: T0 + 0.0,
        missed,
        entirely,
        payload: Buffer.from(`\0late ${offset}\xff`, 'latin1'),
      })
      await commitNext(store, claim, {
        late: [late(102, [T0], true), { ...late(101, [T0 + MINUTE, T0], false), aggregation: 1 }],
      })
      expect(await harness.late()).toEqual([
        {
          offset: 101,
          aggregation: 'totals',
          eventTime: T0,
          missed: [T0, T0 + MINUTE],
          entirely: false,
          payload: '\0late 101\xff',
        },
        {
          offset: 102,
          aggregation: 'by_store',
          eventTime: T0,
          missed: [T0],
          entirely: true,
          payload: '\0late 102\xff',
        },
      ])
    })

    test('stores dead letters with any content', async harness => {
      const { store, claim } = await ready(harness)
      const headers: [string, string][] = [
        ['trace', 'a"b\\'],
        ['', '😀'],
        ['trace', ''],
      ]
      await commitNext(store, claim, {
        dead: [
          letter(103, { reason: 'tombstone', payload: null, payloadBytes: 0, recordTimestamp: -1 }),
          letter(101, {
            field: 'amount',
            key: Buffer.of(0, 255),
            headers,
            payload: Buffer.of(0, 1, 254),
            payloadBytes: 99_999,
            payloadSha256: 'abc',
            detail: 'NaN at byte 1',
          }),
        ],
      })
      expect(await harness.dead()).toEqual([
        {
          offset: 101,
          reason: 'not_json',
          field: 'amount',
          key: '\0\xff',
          headers,
          payload: '\0\x01\xfe',
          payloadBytes: 99_999,
          sha256: 'abc',
          detail: 'NaN at byte 1',
        },
        {
          offset: 103,
          reason: 'tombstone',
          field: null,
          key: null,
          headers: [],
          payload: null,
          payloadBytes: 0,
          sha256: null,
          detail: null,
        },
      ])
      expect(await store.deadLetterBytes()).toBe(3)
    })

    test('stores every line of raw sales', async harness => {
      const { store, claim } = await ready(harness)
      const raw = [
        { partition: 0, offset: 101, line: 1, eventTime: T0 + 1, values: ['b', '-0.05', '2', 'false', ''] },
        { partition: 0, offset: 101, line: 0, eventTime: T0 + 1, values: [ODD_TEXTS[9]!, '1.50', '1', 'true', null] },
        {
          partition: 0,
          offset: 100,
          line: 0,
          eventTime: Date.UTC(9999, 11, 31, 23, 59, 59, 999),
          values: ['a', '10.00', '3', 'true', 'NULL'],
        },
      ]
      await commitNext(store, claim, { raw })
      expect(await harness.raw()).toEqual(raw.toReversed().map(({ partition: _, ...sale }) => sale))
    })

    test('rejects data that it cannot store, writes nothing of the commit, and accepts the next one', async harness => {
      const { store, claim } = await ready(harness)
      const effects = {
        aggregates: [totals(['good', 1]), byStore([T0, 'good', 1], [T0, 'b\0d', 1])],
        dead: [letter(101)],
      }
      await expect(store.commit(commitOf(claim, effects))).rejects.toThrow(Rejected)
      expect([await harness.rows('by_store'), await harness.rows('totals'), await harness.dead()]).toEqual([[], [], []])
      await commitNext(store, claim, { dead: [letter(101)] })
      await expect(store.commit(commitOf(claim, { dead: [letter(101)] }))).rejects.toThrow(Rejected)
      expect(await store.positions()).toEqual(
        new Map([
          [0, 110],
          [1, null],
        ]),
      )
    })

    test('stores only progress when no record was accepted', async harness => {
      const { store, claim } = await ready(harness)
      await commitNext(store, claim, {}, { counters: { records: 0, skipped: 10, dead: 0, duplicate: 0, accepted: 0 } })
      expect((await harness.progress(0)).counters.skipped).toBe(10)
      expect(await store.pending()).toBe(0)
    })
  })
}
