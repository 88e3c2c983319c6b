import { expect, it } from 'vitest'
import { checkPipeline } from '#pipeline/parse.ts'
import { refuseReservedColumns } from '#processor/reserved-columns.ts'
import { documentWith } from '../pipeline/documents.ts'

it.each([
  ['measure', { 'spec.aggregations[0].measures[0].name': 'partial' }],
  ['field', { 'spec.event.fields[0].name': 'partial', 'spec.aggregations[0].groupBy': ['partial'] }],
])('refuses a %s named partial in a new aggregation, and keeps it in a stored one', (_, changes) => {
  const { spec } = checkPipeline(documentWith(changes))
  expect(() => refuseReservedColumns(spec, new Set())).toThrow(
    expect.objectContaining({
      code: 'ColumnReserved',
      message: expect.stringMatching(/by_store: partial is the name/),
    }),
  )
  refuseReservedColumns(spec, new Set(['by_store']))
})

it('accepts other names', () => refuseReservedColumns(checkPipeline(documentWith({})).spec, new Set()))
