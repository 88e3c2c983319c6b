import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline, SpecError } from '#pipeline/parse.ts'
import { MINIMAL } from './documents.ts'

const EXAMPLES = resolve(import.meta.dirname, '../../k8s/examples')

function faultsOf(text: string): string[] {
  try {
    parsePipeline(text, 'my.yaml')
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(SpecError)
    expect((error as Error).message).toMatch(/^my\.yaml is not a valid SalesPipeline \(\d+ faults?\):\n {2}/)
    return (error as SpecError).faults
  }
}

describe('parsePipeline', () => {
  const names = readdirSync(EXAMPLES).filter(name => name.endsWith('.yaml'))
  it('finds five examples', () => expect(names.length).toBe(5))
  it.each(names)('accepts %s, which compiles', name => {
    const { spec } = parsePipeline(readFileSync(join(EXAMPLES, name), 'utf8'), name)
    expect(compileSpec(spec).aggregations.length).toBeGreaterThan(0)
  })

  it('applies the defaults', () => {
    const { spec, metadata } = parsePipeline(MINIMAL)
    expect(metadata).toEqual({ name: 'sales', namespace: 'default' })
    expect(spec.source).toEqual({
      bootstrapServers: ['localhost:9092'],
      topic: 'sales',
      partitions: 8,
      startFrom: 'earliest',
      offsetOutOfRange: 'stop',
    })
    expect(spec.event.time).toEqual({ path: 'at', unit: 'ms', notBefore: '1970-01-01T00:00:00Z' })
    expect(spec.window).toEqual({ type: 'tumbling', size: 60_000 })
    expect(spec.watermark).toEqual({
      outOfOrderness: 60_000,
      idleTimeout: 10_000,
      idle: 'hold',
      maxFutureSkew: 30_000,
      maxPastSkew: 315_360_000_000,
    })
    expect(spec.allowedLateness).toBe(0)
    expect([spec.deduplication, spec.raw, spec.sinks.elasticsearch]).toEqual([undefined, undefined, undefined])
    expect(spec.deadLetters).toEqual({ maxBytes: 2 ** 30, whenFull: 'coordinates', maxPayload: 65_536 })
    expect(spec.commit).toEqual({ interval: 100, maxRecords: 200_000, maxBytes: 32 * 2 ** 20 })
    expect(spec.sinks.postgres).toEqual({ readers: [], host: 'localhost', port: 5432, database: 'sales' })
    expect(spec.telemetry).toEqual({ traceSampling: 0.01 })
    expect(spec.workers.replicas).toBe(2)
    expect(spec.workers.autoscale.mode).toBe('off')
    expect(spec.load).toMatchObject({ rate: 100, profile: 'ecommerce', seed: 1, speed: 1, malformed: { fraction: 0 } })
    const [store, amount, quantity] = compileSpec(spec).fields
    expect([store!.scale, amount!.scale, quantity!.scale]).toEqual([0, 2, 0])
  })

  it('returns a frozen document', () => {
    const { spec } = parsePipeline(MINIMAL)
    expect(() => Object.assign(spec.watermark, { outOfOrderness: 0 })).toThrow(TypeError)
  })

  it('accepts JSON', () => {
    const text = JSON.stringify(parsePipeline(MINIMAL), ['apiVersion', 'kind', 'metadata', 'name'])
    expect(faultsOf(text)).toEqual([
      expect.stringMatching(/^spec: is required and must be a mapping with these fields: source, event, /),
    ])
  })
})

describe('parsePipeline with faults', () => {
  it('reports all of them at once, each with its path, its line and what to change', () => {
    const text = `apiVersion: v1
kind: SalesPipeline
metadata: { name: My Sales }
spec:
  source: { topic: "sales; DROP TABLE sales", partitions: 0, colour: red }
  event:
    time: { path: at, format: iso, zone: Europe/Berlin }
    fields:
      - { name: Store }
      - { name: version }
      - { name: amount, type: money }
  window: { type: tumbling, size: 1 minute }
  watermark: { outOfOrderness: 5 }
  aggregations:
    - { name: progress, groupBy: [store], measures: [] }
  deduplicaton: { horizon: 10m }
  sinks: { elasticsearch: { nodes: [localhost], projections: [] } }
`
    expect(faultsOf(text).map(fault => fault.replace(/(: .{0,34}).*/, '$1'))).toEqual([
      'apiVersion (line 1): must be salespipeline.dev/v1alpha1',
      'metadata.name (line 3): must contain only lower-case lette',
      'spec.source.topic (line 5): must be a Kafka topic name: only l',
      'spec.source.partitions (line 5): must be at least 1; found 0',
      'spec.source.colour (line 5): unknown field; remove it or use on',
      'spec.event.time.format (line 7): must be one of: rfc3339, iso8601, ',
      'spec.event.time.zone (line 7): must be UTC or a fixed offset such',
      'spec.event.fields[0].name (line 9): must be a lower-case identifier: a',
      'spec.event.fields[1].name (line 10): must not be a reserved column name',
      'spec.event.fields[2].type (line 11): must be one of: string, number, de',
      'spec.window.size (line 12): must be a duration between 10ms an',
      'spec.watermark.outOfOrderness (line 13): must be a duration between 0ms and',
      'spec.aggregations[0].name (line 15): must not be a reserved table name ',
      'spec.aggregations[0].measures (line 15): must have at least 1 items; found ',
      'spec.sinks.elasticsearch.nodes[0] (line 17): must be an address such as http://',
      'spec.sinks.elasticsearch.projections (line 17): must have at least 1 items; found ',
      'spec.deduplicaton (line 16): unknown field; remove it or use on',
    ])
  })
})

describe('parsePipeline with other YAML', () => {
  it.each([
    ['broken flow', 'spec: { source: [', /line 1/],
    ['a tab for indentation', 'spec:\n\tsource: {}', /line 2|[Tt]ab/],
    ['a duplicate key', `${MINIMAL}\nkind: SalesPipeline`, /unique|twice/],
    ['two documents', `${MINIMAL}---\n${MINIMAL}`, /multiple|documents/i],
    ['nothing', '', /document/],
    ['a list', '- a\n- b', /document/],
    ['a text', 'SalesPipeline', /document/],
    ['an alias without an anchor', MINIMAL.replace('{ name: sales }', '{ name: *nobody }'), /nobody/],
    ['an alias before its anchor', '{ a: *later, b: &later 1 }', /later/],
  ])('reports %s as a fault', (_name, text, message) => {
    const faults = faultsOf(text)
    expect(faults.length).toBeGreaterThan(0)
    expect(faults.join('\n')).toMatch(message)
  })

  it('refuses a bomb of aliases', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `b${i + 1}: &b${i + 1} [${Array(9).fill(`*b${i}`).join(',')}]`)
    expect(faultsOf(`b0: &b0 [x]\n${levels.join('\n')}\n`).join()).toMatch(/alias/i)
  })

  it('treats __proto__ as an unknown field', () => {
    expect(faultsOf(MINIMAL.replace('spec:', 'spec:\n  __proto__: { window: 1 }')).join()).toMatch(/__proto__/)
    expect(({} as { window?: unknown }).window).toBeUndefined()
  })
})
