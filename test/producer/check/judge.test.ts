/** The words in which a check names what is at fault. */
import { expect, test } from 'vitest'
import { differences, whyNoDocument, whyNoRow } from '#producer/check/judge.ts'
import type { Seen } from '#producer/check/postgres.ts'

const SEEN: Seen = { hasSchema: true, hasTable: true, progress: { first: 0, next: 5 }, dead: null, late: [] }
const why = (seen: Partial<Seen>, since: number | null = 5) =>
  whyNoRow({ ...SEEN, ...seen }, { aggregation: 'summary', schema: 'shop', place: { partition: 3, offset: 7 }, since })

test.each<[string, Partial<Seen>, RegExp]>([
  [
    'nobody was ever there',
    { hasSchema: false, hasTable: false, progress: null },
    /no schema shop.*Do the workers run/,
  ],
  ['another document is read', { hasTable: false }, /no table summary.*same document/],
  ['the partition has no owner', { progress: null }, /no worker has claimed partition 3/],
  ['nobody works', {}, /up to offset 5, the sale is at 7; progress has not moved/],
  [
    'the sale was passed',
    { progress: { first: 0, next: 8 } },
    /committed past.*neither a row nor a dead letter nor late/,
  ],
  ['it is late for another aggregation', { late: ['other'] }, /has not moved/],
])('waits, and says that %s', (_, seen, words) => {
  expect(why(seen)).toMatch(words)
})

test('waits, and says that there is a backlog', () => {
  expect(why({}, 2)).toMatch(/was 2 at first, so it moves/)
})

test.each<[string, Partial<Seen>, RegExp]>([
  ['a dead letter', { dead: { reason: 'wrong_type', field: 'amount' } }, /dead letter: wrong_type \(field amount\)/],
  ['too late', { late: ['other', 'summary'] }, /too late for summary.*watermark of partition 3/],
  ['before the beginning', { progress: { first: 8, next: 8 } }, /began at offset 8 .*after the sale at 7/],
])('does not wait for a sale that is %s', (_, seen, words) => {
  expect(() => why(seen)).toThrow(words)
})

test('tells whose fault a missing document is', () => {
  const seen = { index: 'sales', waiting: 4, error: null }
  expect(whyNoDocument(seen, 'summary', 'sales')).toMatch(/4 changes of summary wait.*reach Elasticsearch/)
  expect(whyNoDocument({ ...seen, index: null }, 'summary', 'sales')).toMatch(/into no index.*same document/)
  expect(() => whyNoDocument({ ...seen, error: '400 strict' }, 'summary', 'sales')).toThrow(/for ever: 400 strict/)
})

test('compares digit by digit', () => {
  expect(differences({ revenue: '12.34', orders: '1' }, { revenue: '12.34', orders: 1 })).toEqual([])
  expect(differences({ revenue: '12.34', orders: '1' }, { revenue: '12.340' })).toEqual([
    'revenue is 12.340, not 12.34',
    'orders is absent, not 1',
  ])
})
