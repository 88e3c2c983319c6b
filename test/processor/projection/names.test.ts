/** Columns may have the names of JavaScript's own properties. */
import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { indexDefinitions } from '#processor/adapters/elasticsearch/mapping.ts'
import { projectedRow } from '#processor/adapters/projected-row.ts'

const compiled = compileSpec(
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: hostile }
spec:
  source: { topic: hostile }
  event: { time: { path: at }, fields: [{ name: constructor }] }
  aggregations: [{ name: constructor, groupBy: [constructor], measures: [{ name: sales, op: count }] }]
  sinks: { elasticsearch: { projections: [{ aggregation: constructor, index: a, fields: { sales: toString } }] } }
`).spec,
)

it('writes columns to fields of the same name, and renamed ones to their new names', () => {
  const { properties } = indexDefinitions(compiled)[0]!.mappings
  expect(Object.entries(properties)).toEqual(
    expect.arrayContaining([
      ['constructor', { type: 'keyword' }],
      ['toString', { type: 'long' }],
    ]),
  )
  const row = {
    windowStart: 0,
    windowEnd: 1,
    keys: ['a'],
    columns: ['3'],
    shown: [],
    version: 1n,
    final: false,
    partial: false,
    updatedAt: 0,
  }
  const { document } = projectedRow(compiled, 0, row, { owner: 'shop/sales/1', replacing: false })
  expect(Object.entries(document!)).toEqual(
    expect.arrayContaining([
      ['constructor', 'a'],
      ['toString', 3],
    ]),
  )
})
