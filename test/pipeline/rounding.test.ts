/** Which columns store a measure, and when it is rounded (contract, sections 2 and 7). */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { scalesOf } from '#pipeline/fields.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { keepRounding, roundedMeasures } from '#pipeline/rounding.ts'
import { documentWith } from './documents.ts'

/** Amounts have 4 decimals. */
const withMeasures = (...measures: object[]) =>
  checkPipeline(documentWith({ 'spec.event.fields[1].scale': 4, 'spec.aggregations[0].measures': measures }))

const compiledOf = (...measures: object[]) => compileSpec(withMeasures(...measures).spec).aggregations[0]!
const columnsOf = (...measures: object[]) => compiledOf(...measures).columns.map(c => [c.name, c.merge, c.scale])

const sum = { name: 'revenue', op: 'sum', of: 'amount', scale: 2 }
const mean = { name: 'mean', op: 'average', of: 'amount', scale: 2 }

describe('the columns of a measure', () => {
  it('stores the sum of an average with all decimals, and shows it with those of the measure', () => {
    expect(columnsOf(mean)).toEqual([
      ['mean_sum', 'add', 4],
      ['mean_count', 'add', 0],
    ])
    expect(compiledOf(mean).shown).toEqual([{ name: 'mean', sum: 'mean_sum', count: 'mean_count', scale: 2 }])
  })

  it('stores a sum with fewer decimals than its expression in a column of its own', () => {
    expect(columnsOf(sum)).toEqual([['revenue_sum', 'add', 4]])
    expect(compiledOf(sum).shown).toEqual([{ name: 'revenue', sum: 'revenue_sum', count: null, scale: 2 }])
    expect(columnsOf({ ...sum, of: 'amount * amount * 0.5', scale: undefined })).toEqual([['revenue', 'add', 9]])
    expect(columnsOf({ ...sum, of: 'amount * amount * amount * 0.5', scale: undefined })).toEqual([
      ['revenue_sum', 'add', 13],
    ])
  })

  it('stores a sum that loses no decimals in one column', () => {
    for (const scale of [undefined, 4]) expect(columnsOf({ ...sum, scale })).toEqual([['revenue', 'add', 4]])
    expect(columnsOf({ ...sum, scale: 5 })).toEqual([['revenue', 'add', 5]])
  })

  it('stores rounded amounts with roundEach, and for min and max, whose result is the same', () => {
    const each = columnsOf(
      { ...sum, roundEach: true },
      { ...mean, roundEach: true },
      { ...sum, name: 'a', op: 'min' },
      { ...sum, name: 'b', op: 'max' },
    )
    expect(each).toEqual([
      ['revenue', 'add', 2],
      ['mean_sum', 'add', 2],
      ['mean_count', 'add', 0],
      ['a', 'min', 2],
      ['b', 'max', 2],
    ])
  })

  it('refuses a measure with the name of the exact column of a sum, unless that sum rounds each event', () => {
    const other = { name: 'revenue_sum', op: 'count' }
    expect(() => withMeasures(sum, other)).toThrow(/"revenue_sum" occurs twice; rename a measure/)
    expect(() => withMeasures({ ...sum, roundEach: true }, other)).not.toThrow()
    expect(() => withMeasures({ ...sum, scale: 4 }, other)).not.toThrow()
  })
})

describe('the rule of an aggregation that release 0.3.0 created', () => {
  const pipeline = withMeasures(sum, mean)
  const ruleOf = ({ spec }: typeof pipeline) => roundedMeasures(spec, scalesOf(spec)).map(m => m.rounding)

  it('keeps rounding each event', () => {
    expect(ruleOf(pipeline)).toEqual(['once', 'once'])
    expect(ruleOf(keepRounding(pipeline, new Set(['by_store'])))).toEqual(['each', 'each'])
    expect(keepRounding(pipeline, new Set(['other']))).toEqual(pipeline)
  })

  it('reads the rounding rule of release 0.3.0 from a stored document without roundEach', () => {
    const stored = structuredClone(pipeline)
    for (const { measures } of stored.spec.aggregations)
      for (const measure of measures) Reflect.deleteProperty(measure, 'roundEach')
    expect(ruleOf(stored)).toEqual(['each', 'each'])
    expect(compileSpec(stored.spec).aggregations[0]!.columns.map(c => c.scale)).toEqual([2, 2, 0])
  })
})
