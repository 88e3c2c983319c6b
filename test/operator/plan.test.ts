import { describe, expect, it } from 'vitest'
import { planOf, type Version } from '#operator/plan.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { documentWith } from '../pipeline/documents.ts'

const OWNER = {
  apiVersion: 'salespipeline.dev/v1alpha1',
  kind: 'SalesPipeline',
  namespace: 'shop',
  name: 'sales',
  uid: '1',
}
const WITH_TOPIC = { 'spec.source.strimzi': { cluster: 'main' } }

function version(changes: Record<string, unknown>): Version {
  const document = documentWith(changes)
  return { document: (document as { spec: object }).spec, spec: checkPipeline(document).spec }
}
const plan = (changes: Record<string, unknown>, before: Record<string, unknown> = {}) =>
  planOf(OWNER, version(before), version(changes))

describe('a plan', () => {
  it('of a new pipeline names all that is made', () => {
    const lines = planOf(OWNER, null, version(WITH_TOPIC))
    expect(lines).toContain('+ Deployment sales-processor is made')
    expect(lines).toContain('+ KafkaTopic shop.sales is made')
    expect(lines).toContain('+ results by_store begin, from earliest')
  })

  it('of no change says so', () => expect(plan({})).toEqual(['nothing changes']))

  it('of more workers restarts nobody', () =>
    expect(plan({ 'spec.workers': { replicas: 5 } })).toEqual(['~ Deployment sales-processor: 2 → 5 pods']))

  it('of another lateness replaces pods and keeps all results', () =>
    expect(plan({ 'spec.allowedLateness': '1m' })).toEqual([
      '~ ConfigMap sales-config changes',
      '! Deployment sales-processor: its pods are replaced one by one; each reads again what it needs and loses nothing',
      '~ a new generation of the spec is in force from the offset that each partition has then; rows before it stay',
    ]))

  it('of another window says what would be lost, and how not to lose it', () =>
    expect(plan({ 'spec.window': { size: '5m' } })).toContain(
      'x results by_store would mean something else: give the changed aggregation another name',
    ))

  it('of a renamed aggregation says which rows stay and which begin', () => {
    const lines = plan({ 'spec.aggregations[0].name': 'by_store_2' })
    expect(lines).toContain('+ results by_store_2 begin where each partition then is')
    expect(lines).toContain('- results by_store are no longer kept up to date; the rows stay')
  })

  it('of ingest that goes removes it, and of a topic that is no longer ours keeps it', () => {
    const lines = plan({}, { 'spec.ingest': { replicas: 1 }, ...WITH_TOPIC })
    expect(lines).toContain('- Deployment sales-ingest is removed')
    expect(lines).toContain('  KafkaTopic shop.sales stays: it holds data')
  })
})
