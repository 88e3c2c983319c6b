/** The messages in which a check names the cause of a missing row or document. */
import { expect, it } from 'vitest'
import { differences, whyNoDocument, whyNoRow } from '#producer/check/judge.ts'
import type { SaleState } from '#producer/check/postgres.ts'

const SEEN: SaleState = { hasSchema: true, hasTable: true, progress: { first: 0, next: 5 }, dead: null, late: [] }
const why = (seen: Partial<SaleState>, since: number | null = 5) =>
  whyNoRow(
    { ...SEEN, ...seen },
    { aggregation: 'summary', schema: 'shop', position: { partition: 3, offset: 7 }, since },
  )

it.each<[string, Partial<SaleState>, RegExp]>([
  [
    'no worker ever ran',
    { hasSchema: false, hasTable: false, progress: null },
    /schema shop.* does not exist: no worker has run yet. Check that workers are running/,
  ],
  ['the workers use another document', { hasTable: false }, /no table summary.*same SalesPipeline file/],
  ['no worker claimed the partition', { progress: null }, /no worker has claimed partition 3/],
  ['no worker runs', {}, /up to offset 5, but the sale is at offset 7\. The committed offset has not changed/],
  ['the sale was skipped', { progress: { first: 0, next: 8 } }, /committed past.*no row, dead letter or late event/],
  ['no worker runs, for a sale late for another aggregation', { late: ['other'] }, /has not changed/],
])('waits and reports: %s', (_, seen, words) => {
  expect(why(seen)).toMatch(words)
})

it('waits and reports a backlog', () => {
  expect(why({}, 2)).toMatch(/increased from 2 since the check began, so the workers are catching up/)
})

it.each<[string, Partial<SaleState>, RegExp]>([
  ['a dead letter', { dead: { reason: 'wrong_type', field: 'amount' } }, /dead letter: wrong_type \(field amount\)/],
  ['late', { late: ['other', 'summary'] }, /the sale is late for summary.*watermark of partition 3/],
  [
    'before the starting point',
    { progress: { first: 8, next: 8 } },
    /started at offset 8 .*after the sale at offset 7/,
  ],
])('does not wait for a sale that is %s', (_, seen, words) => {
  expect(() => why(seen)).toThrow(words)
})

it('names the cause of a missing document', () => {
  const seen = { index: 'sales', waiting: 4, error: null }
  expect(whyNoDocument(seen, 'summary', 'sales')).toMatch(/4 changes of summary are queued.*reach Elasticsearch/)
  expect(whyNoDocument({ ...seen, index: null }, 'summary', 'sales')).toMatch(/to no index.*same SalesPipeline file/)
  expect(() => whyNoDocument({ ...seen, error: '400 strict' }, 'summary', 'sales')).toThrow(
    /permanently rejects its document: 400 strict/,
  )
})

it('compares values digit by digit', () => {
  expect(differences({ revenue: '12.34', orders: '1' }, { revenue: '12.34', orders: 1 })).toEqual([])
  expect(differences({ constructor: '1' }, {})).toEqual(['constructor: expected 1, found no value'])
  expect(differences({ revenue: '12.34', orders: '1' }, { revenue: '12.340' })).toEqual([
    'revenue: expected 12.34, found 12.340',
    'orders: expected 1, found no value',
  ])
})
