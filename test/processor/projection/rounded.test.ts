import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { indexDefinitions } from '#processor/adapters/elasticsearch/mapping.ts'
import { projectedRow } from '#processor/adapters/projected-row.ts'
import { pipelineOf, ROUNDED, T0 } from '../store/fixture.ts'

it('maps every field of a document with an exact sum, because the mapping is strict', () => {
  const compiled = compileSpec(pipelineOf(...ROUNDED).spec)
  const { columns, shown } = compiled.aggregations[0]!
  const [definition] = indexDefinitions(compiled)
  const row = {
    windowStart: T0,
    windowEnd: T0,
    keys: ['a'],
    columns: columns.map(() => '1'),
    shown: shown.map(() => '2'),
    version: 1n,
    final: false,
    partial: false,
    updatedAt: T0,
  }
  const { document } = projectedRow(compiled, 0, row, { owner: 'shop/sales/1', replacing: false })
  expect(Object.keys(document!).sort()).toEqual(Object.keys(definition!.mappings.properties).sort())
  expect(document).toMatchObject({ revenue_sum: '1', total: '2', average_order_sum: '1', average_order: '2' })
  expect(definition!.mappings.properties).toMatchObject({ revenue_sum: { type: 'double' }, total: { type: 'double' } })
})
