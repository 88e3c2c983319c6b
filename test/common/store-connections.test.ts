/** How workers, checks and npm start derive their store connections from the document and the environment. */
import { expect, it } from 'vitest'
import { redactText } from '#common/redact.ts'
import { elasticsearchConnection, postgresConnection } from '#common/store-connections.ts'
import { parsePipeline } from '#pipeline/parse.ts'

const pipelineOf = (postgres: string, elasticsearch: string) =>
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: check }
spec:
  source: { topic: sales }
  event: { time: { path: at }, fields: [{ name: store }] }
  aggregations: [{ name: totals, groupBy: [store], measures: [{ name: sales, op: count }] }]
  sinks:
    postgres: { ${postgres} host: db, database: shop }
    elasticsearch: { nodes: ["https://search:9200"], ${elasticsearch} projections: [{ aggregation: totals, index: t }] }
`).spec

const user = (name: string) =>
  `usernameSecretRef: { name: ${name}, key: username }, passwordSecretRef: { name: ${name}, key: password },`
const authority = (name: string) => `tls: { caSecretRef: { name: ${name}, key: ca.crt } },`
const ENV = {
  SECRET_PG_USERNAME: 'app',
  SECRET_PG_PASSWORD: 'word',
  SECRET_PG_CA_CA_CRT: 'PEM',
  SECRET_ES_USERNAME: 'writer',
  SECRET_ES_PASSWORD: 'other',
  SECRET_ES_CA_CA_CRT: 'ANOTHER PEM',
  PGUSER: 'me',
  PGPASSWORD: 'mine',
}

it('connects with the Secrets and the authorities that the document names', () => {
  const pipeline = pipelineOf(user('pg') + authority('pg-ca'), user('es') + authority('es-ca'))
  const postgres = { host: 'db', port: 5432, database: 'shop', user: 'app', password: 'word', ssl: { ca: 'PEM' } }
  expect(postgresConnection(pipeline, ENV)).toEqual(postgres)
  expect(elasticsearchConnection(pipeline, ENV)).toEqual({
    nodes: ['https://search:9200'],
    auth: { username: 'writer', password: 'other' },
    tls: { ca: 'ANOTHER PEM' },
  })
})

it('falls back to PGUSER, PGPASSWORD, an anonymous Elasticsearch user and the system’s authorities', () => {
  expect(postgresConnection(pipelineOf('', ''), ENV)).toMatchObject({ user: 'me', password: 'mine', ssl: false })
  expect(postgresConnection(pipelineOf('tls: {},', 'tls: {},'), ENV)).toMatchObject({ ssl: {} })
  expect(postgresConnection(pipelineOf('tls: { enabled: false },', ''), ENV)).toMatchObject({ ssl: false })
  expect(elasticsearchConnection(pipelineOf('', 'tls: {},'), ENV)).toEqual({ nodes: ['https://search:9200'] })
})

it('remembers each password, so that no text shows it', () => {
  const pipeline = pipelineOf(`${user('pg')} insecure: true,`, user('es'))
  const passwords = { SECRET_PG_PASSWORD: 'first-password', SECRET_ES_PASSWORD: 'second-password' }
  postgresConnection(pipeline, { ...ENV, ...passwords })
  elasticsearchConnection(pipeline, { ...ENV, ...passwords })
  postgresConnection(pipelineOf('', ''), { PGUSER: 'me', PGPASSWORD: 'third-password' })
  expect(redactText('first-password second-password third-password')).toBe('[redacted] [redacted] [redacted]')
})

it('names the missing variable', () => {
  const pipeline = pipelineOf(`${user('pg')} insecure: true,`, user('es'))
  expect(() => postgresConnection(pipeline, {})).toThrow(/SECRET_PG_USERNAME.*key username of Secret pg/)
  expect(() => postgresConnection(pipelineOf('', ''), {})).toThrow(/PGUSER.*usernameSecretRef/)
  expect(() => elasticsearchConnection(pipeline, {})).toThrow(/SECRET_ES_USERNAME/)
})
