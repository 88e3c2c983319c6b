import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { resolvePipeline } from '#local/start/resolve.ts'
import { specIdentity } from '#pipeline/identity.ts'
import { parsePipeline } from '#pipeline/parse.ts'

const LOCAL = {
  kafka: '127.0.0.1:19092',
  postgres: { host: '127.0.0.1', port: 15432 },
  elasticsearch: 'http://127.0.0.1:19200',
}

const EXAMPLE = readFileSync('k8s/examples/ecommerce.yaml', 'utf8')

const document = (source: string, sinks: string) => `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: shop }
spec:
  source:
    topic: sales  # behind the firewall
${source}
  event: { time: { path: at } }
  aggregations: [{ name: all_sales, measures: [{ name: orders, op: count }] }]
${sinks}
`

const SECURED = document(
  `    bootstrapServers: ["kafka-1.shop:9093", "kafka-2.shop:9093"]
    tls: {}
    sasl:
      mechanism: SCRAM-SHA-512
      usernameSecretRef: { name: kafka, key: user }
      passwordSecretRef: { name: kafka, key: password }`,
  `  sinks:
    postgres:
      host: db.shop
      usernameSecretRef: { name: db, key: user }
      passwordSecretRef: { name: db, key: password }
      insecure: true
    elasticsearch:
      nodes: ["https://search.shop:9200"]
      tls: { enabled: true }
      projections: [{ aggregation: all_sales, index: all }]`,
)

describe('a file on local servers', () => {
  it('gets their endpoints, and the replacements are listed', () => {
    const { pipeline, text, replacements } = resolvePipeline(EXAMPLE, 'e', LOCAL, {})
    expect(replacements).toEqual([
      'using 127.0.0.1:19092 instead of kafka-kafka-bootstrap:9092',
      'using 127.0.0.1:15432 instead of postgres:5432',
      'ignoring usernameSecretRef, passwordSecretRef in spec.sinks.postgres: the local servers do not use these settings',
      'using http://127.0.0.1:19200 instead of https://elasticsearch-es-http:9200',
      'ignoring tls, usernameSecretRef, passwordSecretRef in spec.sinks.elasticsearch: the local servers do not use these settings',
    ])
    expect(pipeline.spec.source.bootstrapServers).toEqual(['127.0.0.1:19092'])
    expect(pipeline.spec.sinks.postgres).toMatchObject({ host: '127.0.0.1', port: 15432, database: 'sales' })
    expect(pipeline.spec.sinks.elasticsearch?.nodes).toEqual(['http://127.0.0.1:19200'])
    expect(parsePipeline(text)).toEqual(pipeline)
  })

  it('keeps its identity and everything but its endpoints', () => {
    const before = parsePipeline(EXAMPLE)
    const { pipeline } = resolvePipeline(EXAMPLE, 'e', LOCAL, {})
    expect(specIdentity(pipeline.spec)).toBe(specIdentity(before.spec))
    const { source, sinks, ...rest } = pipeline.spec
    const { source: _, sinks: __, ...original } = before.spec
    expect(rest).toEqual(original)
  })

  it('keeps comments, and loses TLS and Secrets, which are listed', () => {
    const { pipeline, text, replacements } = resolvePipeline(SECURED, 's', LOCAL, {})
    expect(text).toContain('# behind the firewall')
    expect(replacements).toEqual([
      'using 127.0.0.1:19092 instead of kafka-1.shop:9093, kafka-2.shop:9093',
      'ignoring tls, sasl in spec.source: the local servers do not use these settings',
      'using 127.0.0.1:15432 instead of db.shop:5432',
      'ignoring usernameSecretRef, passwordSecretRef in spec.sinks.postgres: the local servers do not use these settings',
      'using http://127.0.0.1:19200 instead of https://search.shop:9200',
      'ignoring tls in spec.sinks.elasticsearch: the local servers do not use these settings',
    ])
    expect(pipeline.spec.source.sasl).toBeUndefined()
    expect(pipeline.spec.sinks.postgres.passwordSecretRef).toBeUndefined()
  })

  it('gets endpoints that it does not name', () => {
    const { pipeline, replacements } = resolvePipeline(document('', ''), 'd', LOCAL, {})
    expect(replacements).toEqual([
      'using 127.0.0.1:19092 instead of localhost:9092',
      'using 127.0.0.1:15432 instead of localhost:5432',
    ])
    expect(pipeline.spec.sinks).toMatchObject({ postgres: { host: '127.0.0.1', port: 15432 } })
    expect(pipeline.spec.sinks.elasticsearch).toBeUndefined()
  })

  it('resolves anchors and aliases of a file on local servers', () => {
    const text = document('', '  sinks: { postgres: *database }').replace(
      'name: shop',
      'name: shop, annotations: &database { host: db.shop, database: shop }',
    )
    const { pipeline, replacements } = resolvePipeline(text, 'a', LOCAL, {})
    expect(pipeline.spec.sinks.postgres).toMatchObject({ host: '127.0.0.1', port: 15432, database: 'shop' })
    expect(pipeline.metadata.annotations).toEqual({ host: 'db.shop', database: 'shop' })
    expect(replacements[1]).toBe('using 127.0.0.1:15432 instead of db.shop:5432')
  })
})

describe('a file on its own servers', () => {
  it('does not change a file on its own servers', () => {
    const { text, replacements } = resolvePipeline(EXAMPLE, 'e', null, {})
    expect(replacements).toEqual([])
    expect(parsePipeline(text)).toEqual(parsePipeline(EXAMPLE))
  })
})

describe('flags of the load', () => {
  it('replace only their own settings in spec.load', () => {
    const flags = { rate: 7, seed: 3, disorder: 0.1, lateness: 0.2, duplicates: 0.3, malformed: 0.4 }
    const { load } = resolvePipeline(EXAMPLE, 'e', null, flags).pipeline.spec
    expect(load).toMatchObject({ rate: 7, seed: 3, profile: 'ecommerce' })
    expect(load.disorder).toEqual({ fraction: 0.1, max: 5000 })
    expect(load.lateness).toEqual({ fraction: 0.2, by: 600_000 })
    expect([load.duplicates.fraction, load.malformed.fraction]).toEqual([0.3, 0.4])
  })
})

it('rejects a file with faults and names them all', () => {
  const faulty = EXAMPLE.replace('partitions: 8', 'partitions: 0').replace('size: 1m', 'size: soon')
  expect(() => resolvePipeline(faulty, 'shop.yaml', LOCAL, {})).toThrow(
    /shop.yaml .*2 faults.*\n.*partitions.*\n.*window.size/,
  )
})
