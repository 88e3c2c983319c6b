import { describe, expect, it } from 'vitest'
import { checkPipeline, type SpecError } from '#pipeline/parse.ts'
import { documentWith } from './documents.ts'
import { SPANNING_FAULTS } from './spanning-faults.ts'

function faultsOf(changes: Record<string, unknown>): string[] {
  try {
    checkPipeline(documentWith(changes))
    return []
  } catch (error) {
    return (error as SpecError).faults
  }
}

describe('a fault that spans fields', () => {
  it.each(SPANNING_FAULTS)('%j', (fault, told, healed) => {
    expect(faultsOf(fault).join('\n')).toMatch(told)
    expect(faultsOf({ ...fault, ...healed })).toEqual([])
  })
})

it('is told in the same breath as faults of single fields', () => {
  const faults = faultsOf({
    'spec.colour': 'red',
    'spec.watermark': { outOfOrderness: '5 seconds' },
    'spec.aggregations[0].groupBy': ['shop'],
    'spec.window': { type: 'sliding', size: '1min', slide: '7s' },
  })
  expect(faults.map(fault => fault.split(':')[0])).toEqual([
    'spec.window.size',
    'spec.watermark.outOfOrderness',
    'spec.colour',
    'spec.aggregations[0].groupBy[0]',
  ])
})

describe('a name from the spec', () => {
  const tableNamed = (name: string) => faultsOf({ 'spec.aggregations[0].name': name }).join()
  it.each(['a', 'by_store', '_', 'select', 'x'.repeat(57)])('%s is fit for PostgreSQL', name =>
    expect(tableNamed(name)).toBe(''),
  )
  it.each([
    'x'.repeat(58),
    'x'.repeat(64),
    'x'.repeat(10_000),
    'By',
    '1st',
    'a-b',
    'a"b',
    'a;--',
    'ä',
    '',
    'a b',
    'outbox',
  ])('%s is not', name => expect(tableNamed(name)).toMatch(/^spec\.aggregations\[0\]\.name: /))
  it.each(['sales', 'shop.eu_1-x', 'x'.repeat(249)])('%s is a topic', topic =>
    expect(faultsOf({ 'spec.source.topic': topic })).toEqual([]),
  )
  it.each(["sales'; DROP TABLE sales; --", '.', '..', 'a/b', 'x'.repeat(250), ''])('%s is none', topic =>
    expect(faultsOf({ 'spec.source.topic': topic }).join()).toMatch(/^spec\.source\.topic: /),
  )
})
