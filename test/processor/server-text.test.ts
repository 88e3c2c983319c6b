/** Servers may echo what they were sent. Nothing of it is shown, stored or logged before it is redacted. */
import { errors } from '@elastic/elasticsearch'
import pg from 'pg'
import { expect, it } from 'vitest'
import { elasticsearchConnection, postgresConnection } from '#common/store-connections.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { describe as describeItem } from '#processor/adapters/elasticsearch/bulk.ts'
import { elasticsearchError } from '#processor/adapters/elasticsearch/errors.ts'
import { kafkaError } from '#processor/adapters/kafka/connection.ts'
import { storeError } from '#processor/adapters/postgres/errors.ts'
import { telemetryForTest } from './telemetry/fixture.ts'

const secrets = 'usernameSecretRef: { name: db, key: user }, passwordSecretRef: { name: db, key: password }'
const { spec } = parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: echo }
spec:
  source: { topic: sales }
  event: { time: { path: at } }
  aggregations: [{ name: totals, measures: [{ name: orders, op: count }] }]
  sinks:
    postgres: { ${secrets} }
    elasticsearch: { ${secrets}, nodes: ["https://es"], projections: [{ aggregation: totals, index: totals }] }
`)
const PASSWORD = 'horse staple'
const env = { SECRET_DB_USER: 'app', SECRET_DB_PASSWORD: PASSWORD }
postgresConnection(spec, env)
elasticsearchConnection(spec, env)

const ECHO = `refused "${PASSWORD}" and http://app:hunter2@host/ and Authorization: Basic aHVudGVyMg== ${'x '.repeat(5000)}`

const databaseError = (code: string) => Object.assign(new pg.DatabaseError(ECHO, 1, 'error'), { code })
const responseError = (body: unknown) =>
  new errors.ResponseError({ statusCode: 500, body, headers: {}, warnings: null, meta: {} as never })

it.each<[string, () => unknown]>([
  ['PostgreSQL', () => storeError(databaseError('57P01'), 'committing')],
  ['PostgreSQL that rejects data', () => storeError(databaseError('22001'), 'committing')],
  ['PostgreSQL that denies access', () => storeError(databaseError('28P01'), 'connecting')],
  ['a connection to PostgreSQL', () => storeError(new Error(ECHO), 'connecting')],
  ['Elasticsearch', () => elasticsearchError(responseError({ error: { type: 'x', reason: ECHO } }), 'writing', 'app')],
  ['a proxy of Elasticsearch', () => elasticsearchError(responseError(ECHO), 'writing', 'app')],
  ['a connection to Elasticsearch', () => elasticsearchError(new Error(ECHO), 'writing', 'app')],
  ['a document of Elasticsearch', () => new Error(describeItem({ status: 400, error: { type: 'x', reason: ECHO } }))],
  ['Kafka', () => kafkaError(new AggregateError([new Error(ECHO)]), 'fetching')],
])('redacts and shortens the text of %s', (_server, translated) => {
  const { message } = translated() as Error
  expect(message).not.toMatch(/staple|hunter2|aHVudGVy/)
  expect(message).toContain('[redacted]')
  expect(message.length).toBeLessThan(1300)
})

it('redacts and shortens conditions, the status, the reasons of probes and logs', async () => {
  const { telemetry, lines } = telemetryForTest()
  telemetry.condition('StoreUnavailable', ECHO)
  telemetry.setReady(false, ECHO)
  telemetry.setLive(false, ECHO)
  telemetry.log('error', ECHO, { error: ECHO, err: new Error(ECHO, { cause: new Error(ECHO) }) })
  const shown = JSON.stringify([lines, telemetry.health(), await telemetry.snapshot()])
  expect(lines).toHaveLength(2)
  expect(shown).not.toMatch(/staple|hunter2|aHVudGVy/)
  for (const reason of telemetry.health().reasons) expect(reason.length).toBeLessThan(8100)
})
