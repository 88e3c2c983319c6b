/** Fields and aggregations may have the names of JavaScript's own properties. */
import { expect, it } from 'vitest'
import { aggregated, recompute, rowsOf, specOf } from './support.ts'

it('computes rows of fields that are named like methods, with and without a value', () => {
  const spec = specOf({
    event: {
      time: { path: '__proto__.at', format: 'epoch' },
      fields: [
        { name: 'constructor', default: 'none' },
        { name: 'valueof', path: 'toString', type: 'decimal', optional: true },
      ],
      explode: { path: 'constructor', fields: [{ name: 'line_text', path: 'hasOwnProperty', default: '-' }] },
    },
    raw: { table: 'raw' },
    aggregations: [
      { name: 'constructor', groupBy: ['line_text', 'constructor'], measures: [{ name: 'orders', op: 'count' }] },
    ],
  })
  spec.rules.fields[0]!.path = ['text']
  const sales = ['{}', '{"hasOwnProperty":"a"}'].map(
    line => `{"__proto__":{"at":1000},"constructor":[${line}],"toString":"2.5"}`,
  )
  const recomputation = recompute(spec, sales)
  expect(aggregated(spec, recomputation).map(row => row.slice(1, 3))).toEqual([
    ['-', 'none'],
    ['a', 'none'],
  ])
  expect(rowsOf(recomputation.lateTable())).toEqual([])
})
