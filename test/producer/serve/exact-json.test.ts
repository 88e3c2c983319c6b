import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { digitsNeeded } from '#producer/serve/exact-json.ts'

const PIPELINE = `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: digits }
spec:
  source: { topic: sales }
  event:
    id: order.id
    time: { path: at, formats: [rfc3339, epoch] }
    fields: [{ name: total, type: decimal }]
    explode: { path: order.lines, fields: [{ name: price, type: decimal }] }
  aggregations: [{ name: totals, groupBy: [], measures: [{ name: sales, op: count }] }]
`
const needed = digitsNeeded(compileSpec(parsePipeline(PIPELINE).spec))
const event = (id: unknown, at: unknown, total: unknown, ...prices: unknown[]) => ({
  order: { id, lines: prices.map(price => ({ price, quantity: 2 })) },
  at,
  total,
  discount: 1.5,
})

it.each([
  ['the id', event(5, '2026-01-31', '1.10', '1.10')],
  ['the time', event('a', 1_769_860_800, '1.10', '1.10')],
  ['a field', event('a', '2026-01-31', 1.1, '1.10')],
  ['a field of the last line', event('a', '2026-01-31', '1.10', '1.10', null, 1.1)],
])('needs the digits of an event in which %s is a number', (_what, sale) => {
  expect(needed(sale)).toBe(true)
})

it.each([
  ['whose numbers are read by no field', event('a', '2026-01-31', '1.10', '1.10')],
  ['without any value', event(null, undefined, null)],
  ['with lines that are no objects', { order: { lines: [1, null, 'x'] } }],
  ['that is a number', 5],
  ['that is null', null],
])('needs no digits of an event %s', (_what, sale) => {
  expect(needed(sale)).toBe(false)
})
