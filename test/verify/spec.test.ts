import { readFile } from 'node:fs/promises'
import Big from 'big.js'
import { describe, expect, it } from 'vitest'
import { evaluate, naturalScale, parseExpression } from '#verify/expression.ts'
import { readDocument, readSpec, type WrittenDocument, withFormerDefaults } from '#verify/spec.ts'
import { bytes, milliseconds } from '#verify/units.ts'
import { BASE, specOf } from './support.ts'

describe('units', () => {
  it.each([
    ['250ms', 250],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['2d', 172_800_000],
    [42, 42],
  ])('parses duration %s as %i ms', (text, expected) => {
    expect(milliseconds('x', text)).toBe(expected)
  })

  it.each(['', '5', '-1s', '1 s', '1y'])('rejects %j as a duration', text => {
    expect(() => milliseconds('spec.x', text)).toThrow(`spec.x must be a duration such as 30s or 5m; found "${text}"`)
  })

  it.each([
    ['64Ki', 65_536],
    ['1Gi', 1_073_741_824],
    ['2M', 2_000_000],
    ['100', 100],
    [7, 7],
  ])('parses size %s as %i bytes', (text, expected) => {
    expect(bytes('x', text)).toBe(expected)
  })
})

describe('expressions', () => {
  const values: Record<string, string> = { price: '2.50', quantity: '3', discount: '0.125' }
  const scales: Record<string, number> = { price: 2, quantity: 0, discount: 3 }

  it.each([
    ['price', '2.5', 2],
    ['quantity * price', '7.5', 2],
    ['price - discount', '2.375', 3],
    ['price * (1 - discount)', '2.1875', 5],
    ['1 + 2 * 3 - 4', '3', 0],
    ['10 - 2 - 3', '5', 0],
    ['-price + 0.05', '-2.45', 2],
    ['((price))', '2.5', 2],
  ])('evaluates %s to %s with %i decimals', (text, value, scale) => {
    const expression = parseExpression('x', text)
    expect(evaluate(expression, field => new Big(values[field]!)).toFixed()).toBe(value)
    expect(naturalScale(expression, field => scales[field]!)).toBe(scale)
  })

  it.each(['', '1 +', '(1', '1)', 'a b', 'a / b', '* 1', '1..2'])('rejects %j as an expression', text => {
    expect(() => parseExpression('measure x', text)).toThrow(`measure x: invalid expression "${text}"`)
  })
})

describe('the document', () => {
  it('limits the lines of a record, except in a spec that a release up to 0.3.0 stored', async () => {
    const text = await readFile('k8s/examples/product-sales.yaml', 'utf8')
    expect(readSpec(readDocument(text)).rules.explode).toMatchObject({ maxLines: 10_000 })
    const stored = readDocument(text)
    delete stored.spec.event.explode!.maxLines
    expect(readSpec(stored).rules.explode).toMatchObject({ maxLines: Number.POSITIVE_INFINITY })
  })

  it('keeps the defaults of release 0.3.0 that it stored and that the document leaves out', async () => {
    const document = readDocument(await readFile('k8s/examples/ecommerce.yaml', 'utf8'))
    const stored = structuredClone(document)
    stored.spec.watermark = { outOfOrderness: 5000, maxFutureSkew: 300_000 }
    const kept = (watermark: object | undefined, newest?: WrittenDocument) => {
      const changed = { ...document, spec: { ...document.spec, ...(watermark && { watermark }) } }
      if (!watermark) delete changed.spec.watermark
      const { outOfOrderness, maxFutureSkew } = readSpec(withFormerDefaults(changed, newest)).rules
      return [outOfOrderness, maxFutureSkew]
    }
    expect(kept(undefined, stored)).toEqual([5000, 300_000])
    expect(kept({ outOfOrderness: '1m' }, stored)).toEqual([60_000, 300_000])
    expect(kept(undefined)).toEqual([60_000, 30_000])
  })

  it('reads a document with its defaults', async () => {
    const spec = readSpec(readDocument(await readFile('k8s/examples/ecommerce.yaml', 'utf8')))
    expect(spec).toMatchObject({
      topic: 'transactions',
      owner: 'default/ecommerce',
      schema: 'ecommerce',
      raw: null,
      lateRetention: null,
      deadLetters: { retention: null, maxPayload: 65_536, maxBytes: 1_073_741_824 },
      rules: {
        id: 'transaction_id',
        time: { path: 'timestamp', formats: ['rfc3339'], epochAsText: false, zone: null },
        outOfOrderness: 60_000,
        maxFutureSkew: 30_000,
        deduplication: { horizon: 600_000, maxIds: 1_000_000 },
      },
    })
    expect(spec.rules.fields.map(({ name, path, scale }) => [name, path, scale])).toEqual([
      ['category', ['category'], 0],
      ['payment_method', ['payment_method'], 0],
      ['store', ['store_id'], 0],
      ['amount', ['amount'], 2],
      ['quantity', ['quantity'], 0],
    ])
    const [summary] = spec.rules.aggregations
    expect(summary).toMatchObject({ allowedLateness: 30_000, window: { size: 60_000, slide: 60_000, offset: 0 } })
    expect(summary!.measures.map(({ name, scale }) => [name, scale])).toEqual([
      ['revenue', 2],
      ['orders', 0],
      ['items', 0],
      ['average_order', 2],
      ['smallest', 2],
      ['largest', 2],
    ])
    expect(spec.projections.map(({ index }) => index)).toEqual(['transactions-aggregated', 'transactions-by-payment'])
  })

  it('prefers the settings of an aggregation to those of the spec', () => {
    const [first] = BASE.aggregations
    const own = { ...first!, window: { type: 'sliding' as const, size: '1m', slide: '20s' }, allowedLateness: '7s' }
    expect(specOf({ aggregations: [own], allowedLateness: '1s' }).rules.aggregations[0]).toMatchObject({
      window: { size: 60_000, slide: 20_000 },
      allowedLateness: 7000,
    })
  })

  it.each([
    [{ name: 'corner-shop' }, 'corner_shop', null],
    [{ name: 'shop', namespace: 'default' }, 'shop', null],
    [{ name: 'shop', namespace: 'team-a' }, 'team_a_shop_6b3e3555', 'team_a_shop'],
    [
      { name: 'a'.repeat(40), namespace: 'x'.repeat(30) },
      `${'x'.repeat(30)}_${'a'.repeat(17)}_bfb2bfb3`,
      `${'x'.repeat(30)}_${'a'.repeat(26)}`,
    ],
  ])('derives the schema of %j: %s', (metadata, schema, formerSchema) => {
    expect(readSpec({ metadata, spec: BASE })).toMatchObject({ schema, formerSchema })
  })

  it('caps the natural scale of a measure at 12', () => {
    const fields = [{ name: 'x', type: 'decimal' as const, scale: 8 }]
    const aggregations = [{ name: 'a', measures: [{ name: 'm', op: 'sum' as const, of: 'x * x' }] }]
    expect(specOf({ event: { ...BASE.event, fields }, aggregations }).rules.aggregations[0]!.measures[0]!.scale).toBe(
      12,
    )
  })
})
