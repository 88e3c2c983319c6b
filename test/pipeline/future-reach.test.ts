/** No clock that is ahead within the guards makes a correct event late: the defaults, and every document that users copy. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { keepFormerDefaults } from '#pipeline/former-defaults.ts'
import { unsafeWatermark } from '#pipeline/future-reach.ts'
import { checkPipeline, parsePipeline } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { firstClaim } from '#test/support/claim.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { documentWith } from './documents.ts'

const specWith = (changes: Record<string, unknown>) => checkPipeline(documentWith(changes)).spec
const withWatermark = (watermark: object, more: Record<string, unknown> = {}) =>
  specWith({ ...more, 'spec.watermark': watermark })

const EXAMPLES = 'k8s/examples'
const PAGES = ['README.md', 'docs/kubernetes.md', 'docs/operations.md', 'docs/reference.md', 'docs/security.md']

function copiedDocuments(): [name: string, text: string][] {
  const examples = readdirSync(EXAMPLES).map((name): [string, string] => [name, `${EXAMPLES}/${name}`])
  const inPages = PAGES.flatMap(page =>
    [...readFileSync(page, 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)]
      .map(([, text]): [string, string] => [page, text!])
      .filter(([, text]) => text.includes('kind: SalesPipeline')),
  )
  return [...examples.map(([name, path]): [string, string] => [name, readFileSync(path, 'utf8')]), ...inPages]
}

describe('settings that are safe together', () => {
  it('accepts the defaults as safe together', () => expect(unsafeWatermark(specWith({}))).toBeNull())

  it.each(copiedDocuments())('accepts the settings of the document in %s as safe together', (_name, text) =>
    expect(unsafeWatermark(parsePipeline(text).spec)).toBeNull(),
  )

  it('requires an outOfOrderness of at least twice maxFutureSkew', () => {
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '1m', maxFutureSkew: '30001ms' }))).toMatch(
      /event times up to 60002ms ahead .* is 1m; raise outOfOrderness to 60002ms, or lower maxFutureSkew to 30s$/,
    )
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '5s', maxFutureSkew: '5m' }))).toMatch(
      /up to 10m ahead \(twice spec\.watermark\.maxFutureSkew\) are accepted, but spec\.watermark\.outOfOrderness is 5s/,
    )
  })

  it('requires an outOfOrderness of at least maxFutureSkew where the record has the event time', () => {
    const same = { 'spec.event.time': { format: 'record-timestamp' } }
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '1m', maxFutureSkew: '1m' }, same))).toBeNull()
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '1m', maxFutureSkew: '61s' }, same))).not.toBeNull()
  })

  it('accepts any outOfOrderness when several sources must agree', () =>
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '0ms', sources: { field: 'store' } }))).toBeNull())

  it('accepts any outOfOrderness when no aggregation has windows', () =>
    expect(unsafeWatermark(withWatermark({ outOfOrderness: '0ms' }, { 'spec.window': { type: 'none' } }))).toBeNull())
})

/** When a record reaches the broker, and how far its timestamp and its event time are off. */
const arrival = fc.record({
  after: fc.nat(20_000),
  lies: fc.boolean(),
  timestampAhead: fc.nat(),
  timeAhead: fc.nat(),
  /** null: as late as allowed. */
  behind: fc.option(fc.nat()),
})

describe('an event whose time is within allowedLateness of the timestamp of its record', () => {
  it.each(['0ms', '45s'])('counts no event as late with default settings and allowedLateness %s', allowedLateness => {
    const { spec } = checkPipeline(
      documentWith({
        'spec.event.time': { path: 'at', format: 'epoch' },
        'spec.event.fields': [{ name: 'store' }],
        'spec.allowedLateness': allowedLateness,
        'spec.aggregations': [
          { name: 'short', window: { size: '1s' }, measures: [{ name: 'n', op: 'count' }] },
          {
            name: 'sliding',
            window: { type: 'sliding', size: '1m', slide: '10s' },
            measures: [{ name: 'n', op: 'count' }],
          },
        ],
      }),
    )
    checkNeverLate(spec, at => ({ at, store: 'a' }), 300)
  })

  it.each(readdirSync(EXAMPLES))('finds no sale late with the settings of the example %s', name => {
    const { spec } = parsePipeline(readFileSync(`${EXAMPLES}/${name}`, 'utf8'))
    checkNeverLate(spec, (at, id) => saleOf(spec, at, id), 100)
  })
})

/** Feeds the engine with records, of which some are from clocks that are ahead, and fails if another one is late. */
function checkNeverLate(spec: Spec, saleAt: (at: number, id: number) => object, numRuns: number): void {
  const compiled = compileSpec(spec)
  const { maxFutureSkew } = spec.watermark
  const allowed = Math.min(...spec.aggregations.map(a => Number(a.allowedLateness ?? spec.allowedLateness)))
  expect(allowed).toBeGreaterThanOrEqual(0)
  const windows = spec.aggregations.map(a => a.window ?? spec.window)
  // Shortly before windows of a day close as well: lateness matters only then.
  const offset = Math.max(...windows.map(window => ('offset' in window && window.offset) || 0))
  const soon = Date.UTC(2026, 10, 29) + offset + allowed - 100_000
  let leads = 0
  check(
    fc.property(fc.array(arrival, { minLength: 2, maxLength: 40 }), arrivals => {
      let now = soon
      const records = arrivals.map(({ after, lies, timestampAhead, timeAhead, behind }, delta) => {
        now += after
        const timestamp = lies ? now + (timestampAhead % (maxFutureSkew + 1)) : now
        const delay = behind === null ? allowed : behind % (allowed + 1)
        const at = lies ? timestamp + (timeAhead % (maxFutureSkew + 1)) : now - delay
        if (at > now + maxFutureSkew) leads++
        return { delta, timestamp, key: null, value: Buffer.from(JSON.stringify(saleAt(at, delta))) }
      })
      const state = new PartitionState(firstClaim(), () => compiled)
      state.begin([])
      state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
      state.process()
      const { late, dead } = state.freeze()
      expect(dead).toEqual([])
      expect(late.filter(({ offset }) => !arrivals[offset]!.lies)).toEqual([])
    }),
    { numRuns },
  )
  expect(leads).toBeGreaterThan(numRuns)
}

/** Returns a sale with a value for each field of an example, whose paths are single keys. */
function saleOf({ event }: Spec, at: number, id: number): object {
  const valuesOf = (fields: Spec['event']['fields']) =>
    Object.fromEntries(fields.map(({ name, path = name, type }) => [path, type === 'string' ? 'a' : 1]))
  const { explode, time } = event
  const text = new Date(at).toISOString()
  return {
    ...valuesOf(event.fields),
    ...(explode && { [explode.path]: [valuesOf(explode.fields)] }),
    [event.id!]: `sale-${id}`,
    [time.path!]: time.zone === undefined ? text : text.slice(0, -1),
  }
}

describe('a pipeline that release 0.3.0 created', () => {
  const pipeline = (watermark: object | undefined) => {
    const document = documentWith({ 'spec.watermark': watermark })
    return { document, pipeline: checkPipeline(document) }
  }
  const kept = (watermark: object | undefined, stored: Parameters<typeof keepFormerDefaults>[2]) => {
    const { document, pipeline: read } = pipeline(watermark)
    const result = keepFormerDefaults(read, document, stored)
    const { outOfOrderness, maxFutureSkew } = result.pipeline.spec.watermark
    return [outOfOrderness, maxFutureSkew, result.kept]
  }
  const STORED = { outOfOrderness: 5000, maxFutureSkew: 300_000 }

  it('keeps the defaults that its document leaves out', () => {
    expect(kept(undefined, STORED)).toEqual([5000, 300_000, ['outOfOrderness', 'maxFutureSkew']])
    expect(kept({ idle: 'hold' }, STORED)).toEqual([5000, 300_000, ['outOfOrderness', 'maxFutureSkew']])
  })

  it('gets the values that its document has', () => {
    expect(kept({ outOfOrderness: '1m' }, STORED)).toEqual([60_000, 300_000, ['maxFutureSkew']])
    expect(kept({ outOfOrderness: '1m', maxFutureSkew: '30s' }, STORED)).toEqual([60_000, 30_000, []])
  })

  it('gets the new default when it had another value, as a new pipeline does', () => {
    expect(kept(undefined, { ...STORED, outOfOrderness: 9000 })).toEqual([60_000, 300_000, ['maxFutureSkew']])
    expect(kept(undefined, null)).toEqual([60_000, 30_000, []])
  })
})
