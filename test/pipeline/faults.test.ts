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

describe('checkPipeline', () => {
  it.each(SPANNING_FAULTS)('reports %j and accepts its correction', (fault, message, healed) => {
    expect(faultsOf(fault).join('\n')).toMatch(message)
    expect(faultsOf({ ...fault, ...healed })).toEqual([])
  })
})

it('accepts credentials without encryption and shared variables in a document that the API server has admitted', () => {
  const secrets = { usernameSecretRef: { name: 'a-b', key: 'c' }, passwordSecretRef: { name: 'a', key: 'b-c' } }
  const document = documentWith({ 'spec.sinks.postgres': { host: 'db', ...secrets } })
  expect(() => checkPipeline(document)).toThrow(/without encryption[\s\S]*environment variable SECRET_A_B_C/)
  expect(checkPipeline(document, 'stored', { admitted: true }).spec.sinks.postgres.host).toBe('db')
})

it('reports faults that span fields together with faults of single fields', () => {
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

describe('names in a spec', () => {
  const tableNamed = (name: string) => faultsOf({ 'spec.aggregations[0].name': name }).join()
  it.each(['a', 'by_store', '_', 'select', 'x'.repeat(57)])('accepts %s as an aggregation name', name =>
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
    'expelled',
    'progress_pkey',
    '__proto__',
  ])('refuses %s as an aggregation name', name => expect(tableNamed(name)).toMatch(/^spec\.aggregations\[0\]\.name: /))
  it.each(['ctid', 'xmin', 'tableoid', 'version', '__proto__'])('refuses %s as a field and as a measure', name => {
    expect(faultsOf({ 'spec.event.fields[1].name': name }).join()).toMatch(/fields\[1\]\.name: must not be a reserved/)
    const measure = 'spec.aggregations[0].measures[0].name'
    expect(faultsOf({ [measure]: name }).join()).toMatch(/measures\[0\]\.name: must not be a reserved/)
  })
  it.each(['constructor', 'valueof', 'select', 'oid'])('accepts %s as a field, a measure and a path', name =>
    expect(
      faultsOf({
        'spec.event.fields[4]': { name, path: 'constructor.__proto__' },
        'spec.aggregations[0].measures[0].name': name,
      }),
    ).toEqual([]),
  )
  it.each(['sales', 'shop.eu_1-x', 'x'.repeat(249)])('accepts %s as a topic name', topic =>
    expect(faultsOf({ 'spec.source.topic': topic })).toEqual([]),
  )
  it.each(["sales'; DROP TABLE sales; --", '.', '..', 'a/b', 'x'.repeat(250), ''])(
    'refuses %s as a topic name',
    topic => expect(faultsOf({ 'spec.source.topic': topic }).join()).toMatch(/^spec\.source\.topic: /),
  )
})
