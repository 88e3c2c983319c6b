/**
 * Workers, ingest and verifier on a real broker and a real PostgreSQL that ask for client certificates or tokens. The tests
 * run at the same time, because most of them wait.
 */
import { fork } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { rememberSecret } from '#common/redact.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { KAFKA_TIMEOUTS } from '#processor/adapters/kafka/connection.ts'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { openPostgresStore } from '#processor/adapters/postgres/open.ts'
import { Lanes } from '#producer/lanes.ts'
import { startServe } from '#producer/serve/server.ts'
import { kafkaAccess, sinkAccess } from '#verify/credentials.ts'
import { readDocument } from '#verify/spec.ts'
import { verify } from '#verify/verify.ts'
import { LIMITS } from '../producer/serve/fixture.ts'
import { Certificates } from '../support/certificates.ts'
import { type SecuredKafka, securedKafka } from '../support/secured-kafka.ts'
import { securedPostgres } from '../support/secured-postgres.ts'
import { createTopic, temporaryFolder, unique } from '../support/services.ts'
import { CLIENT } from '../support/token-endpoint.ts'
import { until } from '../support/until.ts'

const MAIN = resolve(import.meta.dirname, '../../processor/main.ts')
const LONG = { timeout: 120_000 }

const folder = temporaryFolder('authentication')
const certificates = new Certificates(folder)
let kafka: SecuredKafka
let postgres: Awaited<ReturnType<typeof securedPostgres>>
let env: Record<string, string>

beforeAll(async () => {
  certificates.issue('ca', { name: 'ca' })
  certificates.issue('server', { name: 'server', ca: 'ca' })
  certificates.issue('shop', { name: 'shop', ca: 'ca' })
  certificates.issue('guarded', { name: 'guarded', ca: 'ca' })
  certificates.issue('other-ca', { name: 'other-ca' })
  certificates.issue('foreign', { name: 'shop', ca: 'other-ca' })
  ;[kafka, postgres] = await Promise.all([securedKafka(certificates), securedPostgres(certificates)])
  await createUsers()
  const pairs = ['shop', 'guarded', 'foreign'].flatMap(name => [
    [`SECRET_${name.toUpperCase()}_USER_CRT`, certificates.pem(`${name}.crt`)],
    [`SECRET_${name.toUpperCase()}_USER_KEY`, certificates.pem(`${name}.key`)],
    [`SECRET_${name.toUpperCase()}_TLS_CRT`, certificates.pem(`${name}.crt`)],
    [`SECRET_${name.toUpperCase()}_TLS_KEY`, certificates.pem(`${name}.key`)],
  ])
  env = {
    ...Object.fromEntries(pairs),
    SECRET_CA_CA_CRT: certificates.pem('ca.crt'),
    SECRET_CLIENT_SECRET: CLIENT.secret,
    SECRET_CLIENT_WRONG: rememberSecret('a-wrong-secret'),
    SECRET_LOGIN_PASSWORD: 'guarded-password',
    SECRET_LOGIN_NAME: 'shop',
  }
})
afterAll(async () => {
  await Promise.all([kafka?.stop(), postgres?.stop()])
  rmSync(folder, { recursive: true })
})

async function createUsers(): Promise<void> {
  const { url } = postgres.server
  const client = new pg.Client(url)
  await client.connect()
  await client.query("CREATE USER shop; CREATE USER guarded PASSWORD 'guarded-password'")
  await client.query('GRANT CREATE ON DATABASE postgres TO shop, guarded')
  await client.end()
}

const CA = 'caSecretRef: { name: ca, key: ca.crt }'
const ON_CERTIFICATE = () =>
  `bootstrapServers: ["${kafka.certificate}"], tls: { ${CA}, clientCertSecretRef: { name: shop } }`
const ON_OAUTH = (secret = 'secret') => {
  const client = `clientId: ${CLIENT.id}, clientSecretRef: { name: client, key: ${secret} }, scope: kafka`
  const oauth = `{ tokenEndpoint: "${kafka.tokens.url}", ${client}, ${CA} }`
  return `bootstrapServers: ["${kafka.oauth}"], tls: { ${CA} }, sasl: { mechanism: OAUTHBEARER, oauth: ${oauth} }`
}
const ON_TOKEN_FILE = () =>
  `bootstrapServers: ["${kafka.oauth}"], tls: { ${CA} }, sasl: { mechanism: OAUTHBEARER, serviceAccountToken: { audience: kafka } }`
const WITH_CERTIFICATE = `tls: { ${CA}, clientCertSecretRef: { name: shop } }`

/** Returns the YAML of a pipeline. `name`: also its topic and its schema. */
const document = (name: string, source: string, sink: string) => `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: ${name.replaceAll('_', '-')} }
spec:
  source: { topic: ${name}, partitions: 1, ${source} }
  event: { id: id, time: { path: at }, fields: [{ name: store }] }
  window: { type: none }
  aggregations: [{ name: by_store, groupBy: [store], measures: [{ name: sales, op: count }] }]
  sinks:
    postgres: { host: 127.0.0.1, port: ${postgres.server.port}, database: postgres, schema: ${name}, ${sink} }
`

/** Starts a worker as it ships, and an ingest. `kill` resolves with the worker's log. */
async function start(text: string) {
  const pipeline = parsePipeline(text)
  await createTopic(kafka.plain, pipeline.spec.source.topic, 1, { 'message.timestamp.after.max.ms': '30000' })
  const file = join(folder, `${pipeline.spec.source.topic}.yaml`)
  writeFileSync(file, text)
  const auth = { insecure: false }
  const ingest = await startServe({ ...LIMITS, pipeline, auth, env: { ...env } })
  const settings = { HTTP_PORT: '0', LOG_LEVEL: 'warn', SESSION_TIMEOUT_MS: '2000' }
  const worker = fork(MAIN, ['--file', file], { env: { ...process.env, ...env, ...settings }, silent: true })
  let log = ''
  for (const stream of [worker.stdout!, worker.stderr!]) stream.on('data', data => (log += data))
  return {
    pipeline,
    send: (id: string) => send(`${ingest.url}/${pipeline.spec.source.topic}`, id),
    async kill() {
      await ingest.close()
      const exited = new Promise(resolve => worker.once('close', resolve))
      worker.kill('SIGKILL')
      await exited
      return log
    },
  }
}

async function send(url: string, id: string): Promise<void> {
  const body = JSON.stringify({ id, at: '2026-01-01T00:00:00Z', store: 'Rome' })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body })
  expect(response.status).toBe(202)
}

/** Waits until the stored row counts that many sales. */
async function counted({ spec }: SalesPipeline, sales: number): Promise<void> {
  const query = `SELECT sales::int FROM ${spec.sinks.postgres.schema}.by_store`
  await until(
    `${sales} sales in the row`,
    async () => {
      const client = new pg.Client(postgres.server.url)
      await client.connect()
      try {
        const { rows } = await client.query(query).catch(() => ({ rows: [] }))
        return rows[0]?.sales === sales
      } finally {
        await client.end()
      }
    },
    60_000,
    300,
  )
}

/** Verifies with the verifier's own clients. */
function verdictOf(text: string, user: string, password = '') {
  const { source, sinks } = readDocument(text).spec
  const { tls } = sinkAccess(sinks!.postgres!, env)
  return verify({
    specText: text,
    bootstrap: source.bootstrapServers!.join(','),
    kafka: kafkaAccess(source, env),
    postgres: { host: '127.0.0.1', port: postgres.server.port, database: 'postgres', user, password, ssl: tls! },
  })
}

async function describeTopic(source: string, changes: Record<string, string> = {}) {
  const { spec } = parsePipeline(document('none', source, WITH_CERTIFICATE))
  const reader = new KafkaSource(kafkaConnection(spec.source, 'test', { ...env, ...changes }, KAFKA_TIMEOUTS), 'none')
  try {
    return await reader.describe()
  } finally {
    await reader.close()
  }
}

async function openStore(sink: string): Promise<void> {
  const store = openPostgresStore(parsePipeline(document(unique('store'), ON_CERTIFICATE(), sink)), 'test', env)
  try {
    await store.open({ topic: 't', topicId: 'id', partitions: 1 })
  } finally {
    await store.close()
  }
}

describe.concurrent('a pipeline', LONG, () => {
  it('stores rows with the certificate of a KafkaUser and one for PostgreSQL, and is verified', async () => {
    const text = document('certified', ON_CERTIFICATE(), WITH_CERTIFICATE)
    const running = await start(text)
    try {
      await running.send('1')
      await counted(running.pipeline, 1)
    } finally {
      await running.kill()
    }
    expect(await verdictOf(text, 'shop')).toMatchObject({ ok: true, records: 1 })
  })

  it('survives the expiry of its tokens without a lost connection, and is verified', async () => {
    const sink = `usernameSecretRef: { name: guarded, key: name }, passwordSecretRef: { name: login, key: password }, tls: { ${CA}, clientCertSecretRef: { name: guarded } }`
    const text = document('expiry', ON_OAUTH(), sink)
    env.SECRET_GUARDED_NAME = 'guarded'
    // A broker allows one authentication per second and connection, so a rest of a fifth must be longer.
    kafka.tokens.lifetimeSeconds = 12
    const running = await start(text)
    let log = ''
    try {
      await running.send('1')
      await counted(running.pipeline, 1)
      const before = kafka.tokens.issued
      await sleep(11_000)
      // The worker and the ingest, each at least once.
      expect(kafka.tokens.issued).toBeGreaterThanOrEqual(before + 2)
      await running.send('2')
      await counted(running.pipeline, 2)
    } finally {
      log = await running.kill()
    }
    expect(log).toBe('')
    expect(await verdictOf(text, 'guarded', 'guarded-password')).toMatchObject({ ok: true, records: 2 })
  })
})

describe.concurrent('Kafka', LONG, () => {
  it('refuses a worker without a certificate, with its TLS alert in the error', async () => {
    const source = `bootstrapServers: ["${kafka.certificate}"], tls: { ${CA} }`
    await expect(describeTopic(source)).rejects.toMatchObject({
      code: 'AccessDenied',
      message: /\(TLS alert of the broker: .*certificate.*\): check spec\.source\.tls and its certificates/,
    })
  })

  it('refuses an ingest with a certificate of another authority, with its TLS alert in the error', async () => {
    const source = ON_CERTIFICATE().replace('name: shop', 'name: foreign')
    const { spec } = parsePipeline(document('none', source, WITH_CERTIFICATE))
    const ledger = { onSending() {}, onAcknowledged() {}, onFailed() {} }
    await expect(Lanes.open(kafkaConnection(spec.source, 'test', env), 'none', ledger, 2000)).rejects.toThrow(
      /cannot reach topic none .*TLS alert of the broker: .*certificate.*tls and sasl of spec\.source/,
    )
  })

  it('does not connect to Kafka if its certificate comes from an unknown authority', async () => {
    const source = `bootstrapServers: ["${kafka.oauth}"], tls: {}`
    await expect(describeTopic(source)).rejects.toThrow(/unable to verify.*check spec\.source\.tls/)
  })

  it('sends nothing to Kafka if the token endpoint denies the client', async () => {
    await expect(describeTopic(ON_OAUTH('wrong'))).rejects.toMatchObject({
      code: 'AccessDenied',
      message:
        /answered 401 for client shop client: invalid_client secret \[redacted\]\. Check clientId, clientSecretRef/,
    })
  })

  it('accepts a token file’s next content after it rejected the first', async () => {
    await createTopic(kafka.plain, 'none', 1)
    const file = join(folder, 'token')
    writeFileSync(file, await kafka.tokens.sign(60, 'another-audience'))
    await expect(describeTopic(ON_TOKEN_FILE(), { KAFKA_TOKEN_FILE: file })).rejects.toMatchObject({
      code: 'AccessDenied',
      message: /the broker rejects the token \(invalid_token\).*audience/,
    })
    writeFileSync(file, await kafka.tokens.sign(60))
    expect(await describeTopic(ON_TOKEN_FILE(), { KAFKA_TOKEN_FILE: file })).toMatchObject({ partitions: 1 })
  })
})

describe.concurrent('PostgreSQL', LONG, () => {
  const login = 'usernameSecretRef: { name: login, key: name }'

  it.each([
    [
      'without a certificate',
      `${login}, passwordSecretRef: { name: login, key: name }, tls: { ${CA} }`,
      /certificate.*Check .*tls\.clientCertSecretRef of spec\.sinks/,
    ],
    [
      'with the certificate of another user',
      `${login}, tls: { ${CA}, clientCertSecretRef: { name: guarded } }`,
      /certificate authentication failed for user "shop".*tls\.clientCertSecretRef/,
    ],
    [
      'with a certificate of another authority',
      `tls: { ${CA}, clientCertSecretRef: { name: foreign } }`,
      /alert unknown ca.*Check spec\.sinks\.postgres\.tls/,
    ],
  ])('refuses a worker %s', async (_name, sink, message) => {
    await expect(openStore(sink)).rejects.toMatchObject({ code: 'AccessDenied', message })
  })
})
