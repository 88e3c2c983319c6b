import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { aggregationIdentity, schemaNames, specIdentity } from '#pipeline/identity.ts'
import { checkPipeline, parsePipeline } from '#pipeline/parse.ts'
import { keepRounding } from '#pipeline/rounding.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { secretsFrom, secretVariable } from '#pipeline/secrets.ts'
import { documentWith, withoutLimits } from './documents.ts'

const identitiesOf = ({ spec }: SalesPipeline) => ({
  spec: specIdentity(spec),
  aggregation: aggregationIdentity(spec, spec.aggregations[0]!),
})
const identities = (changes: Record<string, unknown>) => identitiesOf(checkPipeline(documentWith(changes)))
const before = identities({})

describe('specIdentity and aggregationIdentity (contract, section 2)', () => {
  it.each<[Record<string, unknown>]>([
    [{ 'spec.window': { size: '30s' } }],
    [{ 'spec.aggregations[0].groupBy': [] }],
    [{ 'spec.aggregations[0].measures[1].of': 'amount * quantity' }],
    [{ 'spec.event.fields[1].scale': 3 }],
    [{ 'spec.event.fields[0].path': 'shop' }],
    [{ 'spec.event.explode': { path: 'lines', fields: [{ name: 'price' }] } }],
    [{ 'spec.event.time.path': 'sold_at' }],
    [{ 'spec.event.time.format': 'epoch' }],
    [{ 'spec.event.time.formats': ['rfc3339'] }],
    [{ 'spec.event.fields[0].blankAsNull': true }],
  ])('changes the identity of the spec and of the aggregation with %j', changes => {
    const after = identities(changes)
    expect(after.spec).not.toBe(before.spec)
    expect(after.aggregation).not.toBe(before.aggregation)
  })

  it.each<[Record<string, unknown>]>([
    [{ 'spec.allowedLateness': '1m' }],
    [{ 'spec.allowedLateness': 'unlimited' }],
    [{ 'spec.watermark': { outOfOrderness: '9s' } }],
    [{ 'spec.watermark': { maxFutureSkew: '9s' } }],
    [{ 'spec.watermark': { maxPastSkew: '9s' } }],
    [{ 'spec.raw': { table: 'sales_raw' } }],
    [{ 'spec.event.fields[4]': { name: 'country' } }],
    [{ 'spec.event.fields[3].path': 'remark' }],
    [{ 'spec.event.id': 'id' }],
    [{ 'spec.event.integralIds': true }],
    [{ 'spec.event.time.format': 'iso8601' }],
    [{ 'spec.event.time.notBefore': '2000-01-01T00:00:00Z' }],
    [{ 'spec.event.fields[1].rounding': 'half-even' }],
    [{ 'spec.event.fields[1].blankAsNull': true }],
    [{ 'spec.aggregations[0].allowedLateness': '1m' }],
  ])('changes the identity of the spec only with %j', changes => {
    const after = identities(changes)
    expect(after.spec).not.toBe(before.spec)
    expect(after.aggregation).toBe(before.aggregation)
  })

  it.each<[Record<string, unknown>]>([
    [{ 'spec.workers': { replicas: 7 } }],
    [{ 'spec.load': { rate: 7 } }],
    [{ 'spec.commit': { interval: '7ms' } }],
    [{ 'spec.source.bootstrapServers': ['kafka:9092'] }],
    [{ 'spec.sinks': { postgres: { host: 'db' } } }],
    [{ 'spec.window': { size: '60s', type: 'tumbling' } }],
    [{ 'spec.event.time.format': 'rfc3339' }],
    [{ 'spec.watermark': { maxPastSkew: '87600h' } }],
  ])('keeps both identities with %j, which changes no result', changes => expect(identities(changes)).toEqual(before))
})

/** Computed by release 0.3.0. */
const STORED_BY_0_3_0 = {
  plain: {
    spec: 'b32f599475d3493aecadcb2e2534e53674791f28eec995c639e57bd6dcfb43b2',
    aggregation: 'd98c497780429654373168acc41fa03d649b84f6dab869a8f5cc23aa56f835d3',
  },
  rounded: {
    spec: '67a38d8902d6f7e04ea5ab012b483cf0a60849b50a1ab576ebe3b93f72566b15',
    aggregation: '276b8846c98999d608fef0af3a092ecae856da0636cccca9de183ff9869bd1ee',
  },
}

/** The defaults of release 0.3.0, which such a pipeline keeps. */
const WATERMARK_OF_0_3_0 = { outOfOrderness: '5s', maxFutureSkew: '5m' }

describe('identities stored by release 0.3.0, which rounded each event', () => {
  const rounding = (roundEach?: boolean) => ({
    'spec.watermark': WATERMARK_OF_0_3_0,
    'spec.event.fields[1].scale': 4,
    'spec.aggregations[0].measures': [
      { name: 'revenue', op: 'sum', of: 'amount', scale: 2, roundEach },
      { name: 'mean', op: 'average', of: 'amount', scale: 2, roundEach },
      { name: 'least', op: 'min', of: 'amount', scale: 2 },
    ],
  })
  const rounded = (roundEach?: boolean) => identities(rounding(roundEach))
  const stored = (changes: Record<string, unknown>) => identitiesOf(withoutLimits(checkPipeline(documentWith(changes))))

  it('stay the same where no decimals are lost', () =>
    expect(stored({ 'spec.watermark': WATERMARK_OF_0_3_0 })).toEqual(STORED_BY_0_3_0.plain))

  it('stay the same with roundEach', () => expect(stored(rounding(true))).toEqual(STORED_BY_0_3_0.rounded))

  it('change for the spec, but not for the aggregation, with the new limits', () => {
    expect(before.spec).not.toBe(STORED_BY_0_3_0.plain.spec)
    expect(before.aggregation).toBe(STORED_BY_0_3_0.plain.aggregation)
  })

  it('differ from those of a measure that rounds once', () => {
    expect(rounded().spec).not.toBe(STORED_BY_0_3_0.rounded.spec)
    expect(rounded().aggregation).not.toBe(STORED_BY_0_3_0.rounded.aggregation)
    expect(rounded(false)).toEqual(rounded())
  })
})

/** By example: the beginnings of the identities of the spec and of each aggregation. */
const EXAMPLES_OF_0_3_0: Record<string, string[]> = {
  anomalies: ['fb68da294fba484b', '017500f74fcf4de3', 'd4a8991bcb307370'],
  'black-friday': ['17c7d3fc728e7ba5', '0bcfb97ca7aae3f2'],
  ecommerce: ['e8b8052f894d6037', '22b88cd497c3598e', 'b5223a03c8fe2ba2'],
  'product-sales': ['f5dbc88d57d89d17', '1f3a55a2fa4d7192'],
  'sales-map': ['6edcca52c8630993', '723dfe4026cccea7', 'e15e463884034665', 'ca34a7835ebdfda7'],
}

/** Their settings in release 0.3.0, in ms. Its maxFutureSkew was 5m in each of them. */
const FORMER_OUT_OF_ORDERNESS: Record<string, number> = { anomalies: 2000, 'black-friday': 120_000 }

function withFormerWatermark({ spec, ...pipeline }: SalesPipeline, name: string): SalesPipeline {
  const former = { outOfOrderness: FORMER_OUT_OF_ORDERNESS[name] ?? 5000, maxFutureSkew: 300_000 }
  return { ...pipeline, spec: { ...spec, watermark: { ...spec.watermark, ...former } } }
}

describe('identities of the example documents', () => {
  it.each(Object.entries(EXAMPLES_OF_0_3_0))('stay as release 0.3.0 computed them: %s', (name, stored) => {
    const pipeline = withFormerWatermark(parsePipeline(readFileSync(`k8s/examples/${name}.yaml`, 'utf8')), name)
    const { spec } = withoutLimits(keepRounding(pipeline, new Set(pipeline.spec.aggregations.map(a => a.name))))
    const found = [specIdentity(spec), ...spec.aggregations.map(a => aggregationIdentity(spec, a))]
    expect(found.map(identity => identity.slice(0, 16))).toEqual(stored)
  })

  it('cover all examples', () =>
    expect(readdirSync('k8s/examples').sort()).toEqual(Object.keys(EXAMPLES_OF_0_3_0).map(name => `${name}.yaml`)))
})

describe('names derived from the document', () => {
  const namesOf = (changes: Record<string, unknown>) => schemaNames(checkPipeline(documentWith(changes)))
  const nameOf = (changes: Record<string, unknown>) => namesOf(changes).name
  const inNamespace = (namespace: string, name: string) =>
    namesOf({ 'metadata.namespace': namespace, 'metadata.name': name })
  it('takes the schema name from the spec, or else from namespace and name', () => {
    expect(nameOf({})).toBe('sales')
    expect(nameOf({ 'metadata.namespace': 'my-shop', 'metadata.name': 'all-sales' })).toBe('my_shop_all_sales_85b92b1e')
    expect(nameOf({ 'spec.sinks': { postgres: { schema: 'mine' } } })).toBe('mine')
  })

  it('gives no two pipelines one schema, and knows the name that releases up to 0.3.0 gave', () => {
    const long = 'a'.repeat(40)
    const pipelines: [namespace: string, name: string][] = [
      ['shop-a', 'b'],
      ['shop', 'a-b'],
      ['default', 'shop-a-b'],
      ['x'.repeat(30), `${long.slice(1)}b`],
      ['x'.repeat(30), long],
    ]
    const names = pipelines.map(([namespace, name]) => inNamespace(namespace, name))
    expect(new Set(names.map(({ name }) => name)).size).toBe(pipelines.length)
    for (const { name } of names) expect(name).toMatch(/^[a-z0-9_]{1,57}$/)
    expect(names.map(({ former }) => former).slice(0, 3)).toEqual(['shop_a_b', 'shop_a_b', null])
    expect(names[3]!.former).toBe(names[4]!.former)
  })

  it('reads a Secret from its environment variable and names a missing variable', () => {
    const ref = { name: 'kafka-user', key: 'tls.crt' }
    expect(secretVariable(ref)).toBe('SECRET_KAFKA_USER_TLS_CRT')
    expect(secretsFrom({ SECRET_KAFKA_USER_TLS_CRT: 's3cret' })(ref)).toBe('s3cret')
    expect(() => secretsFrom({ SECRET_KAFKA_USER_TLS_KEY: 's3cret' })(ref)).toThrow(
      /^environment variable SECRET_KAFKA_USER_TLS_CRT is not set; set it to the value of key tls\.crt of Secret kafka-user$/,
    )
  })
})
