import { describe, expect, it } from 'vitest'
import { checkPipeline } from '#pipeline/parse.ts'
import { reportUnclearMeasures } from '#processor/unclear-measures.ts'
import { documentWith } from '../pipeline/documents.ts'

const LINES = { 'spec.event.explode': { path: 'lines', fields: [{ name: 'price', type: 'decimal' }] } }

function report(changes: Record<string, unknown>, stored: string[] = []): Record<string, string | null> {
  const conditions: Record<string, string | null> = {}
  const { spec } = checkPipeline(documentWith(changes))
  reportUnclearMeasures(spec, new Set(stored), { condition: (code, message) => void (conditions[code] = message) })
  return conditions
}

describe('a measure that adds an amount of the whole record', () => {
  it('refuses an unclear measure in a new aggregation until it says per', () => {
    expect(() => report(LINES)).toThrow(
      expect.objectContaining({
        code: 'MeasureUnclear',
        message: expect.stringMatching(/by_store\.revenue: uses no field of a line.*per: events.*per: lines/),
      }),
    )
    for (const per of ['events', 'lines'])
      expect(report({ ...LINES, 'spec.aggregations[0].measures[1].per': per })).toEqual({ AddedPerLine: null })
  })

  it('accepts an unclear measure in a stored aggregation, with a condition', () => {
    expect(report(LINES, ['by_store']).AddedPerLine).toMatch(/^by_store\.revenue: adds .* once per line.*another name/)
  })

  it.each([
    ['without lines', {}],
    ['that uses a field of a line', { ...LINES, 'spec.aggregations[0].measures[1].of': 'quantity * price' }],
  ])('treats a measure as clear %s', (_, changes) => expect(report(changes)).toEqual({ AddedPerLine: null }))
})
