import { describe, expect, it } from 'vitest'
import { changePreview, type Version } from '#operator/change-preview.ts'
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
const preview = (changes: Record<string, unknown>, before: Record<string, unknown> = {}) =>
  changePreview(OWNER, version(before), version(changes))

describe('the change preview', () => {
  it('names every object and result of a new pipeline', () => {
    const lines = changePreview(OWNER, null, version(WITH_TOPIC))
    expect(lines).toContain('+ Deployment sales-processor is created')
    expect(lines).toContain('+ KafkaTopic shop.sales is created, unless topic sales has a KafkaTopic already')
    expect(lines).toContain('+ aggregation by_store: new; contains the sales since spec.source.startFrom (earliest)')
  })

  it('reports when nothing changes', () => expect(preview({})).toEqual(['no changes']))

  it('restarts no pods for another number of workers', () =>
    expect(preview({ 'spec.workers': { replicas: 5 } })).toEqual(['~ Deployment sales-processor: 2 → 5 pods']))

  it('replaces pods and keeps all results for another allowed lateness', () =>
    expect(preview({ 'spec.allowedLateness': '1m' })).toEqual([
      '~ ConfigMap sales-config changes',
      '! Deployment sales-processor: its pods are replaced one by one; no results are lost',
      '~ the new spec applies to sales after the current offset of each partition; rows from earlier sales are kept',
    ]))

  it('warns that another window would change the meaning of results, and how to avoid it', () =>
    expect(preview({ 'spec.window': { size: '5m' } })).toContain(
      'x aggregation by_store: this change is refused, because stored rows would not match the new definition; give the changed aggregation a new name',
    ))

  it('says what happens when another place of results or of sales is named', () => {
    expect(preview({ 'spec.sinks': { postgres: { schema: 'other' } } })).toContain(
      '~ spec.sinks.postgres names another place; nothing is left behind, because no result is stored yet',
    )
    expect(preview({ 'spec.source.bootstrapServers': ['other:9092'] })).toContain(
      '! spec.source names other Kafka servers: workers continue only if they find the same topic there; otherwise they stop with TopicReplaced',
    )
  })

  it('warns of settings with which one clock that is ahead makes correct events late', () => {
    const unsafe = { 'spec.watermark': { outOfOrderness: '5s', maxFutureSkew: '5m' } }
    expect(preview(unsafe, unsafe)).toEqual([
      'no changes',
      expect.stringMatching(
        /^! one clock that is ahead .* raise outOfOrderness to 10m, or lower maxFutureSkew to 2500ms$/,
      ),
    ])
  })

  it('warns of an ingest that accepts sales from anyone', () => {
    const note = /^! the ingest accepts sales from anyone who can connect to it; set spec\.ingest\.tokensSecretRef/
    expect(preview({ 'spec.ingest': { replicas: 1 } }).at(-1)).toMatch(note)
    const withTokens = { replicas: 1, insecure: true, tokensSecretRef: { name: 'a', key: 'b' } }
    expect(preview({ 'spec.ingest': withTokens }).join()).not.toMatch(/from anyone/)
  })

  it('says what an aggregation does that adds an amount of the record for each line', () => {
    const lines = { 'spec.event.explode': { path: 'lines', fields: [{ name: 'sku' }] } }
    expect(preview({ ...lines, 'spec.allowedLateness': '1m' }, lines)).toContain(
      '! by_store.revenue adds an amount of the whole record once per line; if this is meant, set per: lines',
    )
    expect(preview({ ...lines, 'spec.aggregations[0].name': 'again' }, lines)).toContainEqual(
      expect.stringMatching(
        /^x again\.revenue: workers refuse this aggregation\. It uses no field of a line.*per: events/,
      ),
    )
    const stated = { ...lines, 'spec.aggregations[0].measures[1].per': 'lines' }
    expect(preview(stated, lines).filter(line => line.includes('revenue'))).toEqual([])
  })

  it('warns of a new aggregation that uses the name partial, which workers refuse', () => {
    const partial = { 'spec.aggregations[0].measures[0].name': 'partial' }
    expect(preview({ ...partial, 'spec.aggregations[0].name': 'again' }, partial)).toContainEqual(
      expect.stringMatching(/^x aggregation again: workers refuse it: partial is the name of the column/),
    )
    expect(preview(partial, partial).join()).not.toContain('workers refuse it')
  })

  it('warns of a path with an array index, which only a stored document may have', () => {
    const stored = documentWith({ 'spec.event.fields[3].path': 'line_items.0.title' })
    const { spec } = checkPipeline(stored, 'stored', { admitted: true })
    const lines = changePreview(OWNER, null, { document: (stored as { spec: object }).spec, spec })
    expect(lines).toContainEqual(
      expect.stringMatching(/^! spec\.event\.fields\.3\.path: "line_items\.0\.title" has an array index/),
    )
    expect(() => checkPipeline(stored)).toThrow(/has an array index/)
  })

  it('names the results that end and that start when an aggregation is renamed', () => {
    const lines = preview({ 'spec.aggregations[0].name': 'by_store_2' })
    expect(lines).toContain(
      '+ aggregation by_store_2: new; contains only sales after the current offset of each partition',
    )
    expect(lines).toContain('- results of by_store are no longer updated; their rows are kept')
  })

  describe('of measures that lose decimals', () => {
    const sum = { name: 'revenue', op: 'sum', of: 'amount', scale: 1 }
    const measures = (...measures: object[]) => ({ 'spec.aggregations[0].measures': measures })
    const rounded = measures(sum, { name: 'mean', op: 'average', of: 'amount', scale: 1 })
    const notes = (lines: string[]) => lines.filter(line => /by_store\.(revenue|mean)/.test(line))

    it('warns of a sum whose rows do not add up to the exact total', () => {
      const warning =
        '! by_store.revenue shows 1 of 2 decimals, so adding up its rows can differ from the exact total; add up revenue_sum instead, or raise scale'
      expect(notes(changePreview(OWNER, null, version(rounded)))).toEqual([warning])
      expect(notes(changePreview(OWNER, null, version(measures({ ...sum, roundEach: true }))))).toEqual([])
      expect(notes(changePreview(OWNER, null, version(measures({ ...sum, scale: 2 }))))).toEqual([])
    })

    it('reports that a live aggregation keeps its rule, even when nothing changes', () => {
      const lines = preview(rounded, rounded)
      expect(lines[0]).toBe('no changes')
      expect(lines).toContain(
        '  by_store.mean keeps its rounding: each event is rounded to scale 1 if release 0.3.0 or older created by_store, else only the result. To round only the result, give by_store a new name',
      )
      expect(notes(lines)).toHaveLength(3)
    })

    it('refuses another rule for a live aggregation', () =>
      expect(preview(measures({ ...sum, roundEach: true }), measures(sum))).toContain(
        'x aggregation by_store: this change is refused, because stored rows would not match the new definition; give the changed aggregation a new name',
      ))
  })

  it('deletes an ingest that is no longer asked for, and keeps the topic', () => {
    const lines = preview({}, { 'spec.ingest': { replicas: 1 }, ...WITH_TOPIC })
    expect(lines).toContain('- Deployment sales-ingest is deleted')
    expect(lines).toContain('  KafkaTopic shop.sales is kept: it holds data')
  })
})
