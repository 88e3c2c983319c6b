/** Tests that the Ready condition names the problem, with real pods, and recovers once it is fixed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { Database } from './database.ts'
import { installOperator, SYSTEM } from './platform.ts'
import { MINUTES, Shop } from './shop.ts'

const shop = new Shop('status')
let database: Database

const ref = (name: string, key: string) => ({ name, key })
const postgresWith = (secret: string) => ({
  host: 'postgres',
  database: 'sales',
  usernameSecretRef: ref('postgres', 'username'),
  passwordSecretRef: ref(secret, 'password'),
  insecure: true,
})

/** Waits until Ready has this reason, and resolves with its message. */
const messageOf = async (name: string, reason: string): Promise<string> => (await shop.ready(name, reason)).message

/** Resolves with the pipelines that have a schema. */
async function stored(): Promise<string[]> {
  const { rows } = await database.client.query('SELECT nspname FROM pg_namespace')
  const schemas = new Set(rows.map(({ nspname }) => nspname))
  return ['doors', 'elsewhere', 'kept'].filter(name => schemas.has(shop.schema(name)))
}

/** Makes the Service of PostgreSQL select the pods of `app`. Another app than postgres cuts off its clients. */
const routePostgresTo = (app: string) => {
  const selector = { 'app.kubernetes.io/name': app }
  return shop.k('patch', 'service/postgres', '--type=merge', '-p', JSON.stringify({ spec: { selector } }))
}

describe('the Ready condition', () => {
  beforeAll(async () => {
    database = await Database.open(shop)
  }, 10 * MINUTES)

  afterAll(async () => {
    await installOperator()
    await routePostgresTo('postgres')
    await database?.close()
    await shop.close()
  }, 3 * MINUTES)

  it(
    'names a missing Secret, then a wrong password, and recovers',
    async () => {
      await shop.apply('doors', { rate: 50, sinks: { postgres: postgresWith('doors') } })
      const missing =
        /pod doors-processor-\S+, container processor: Secret doors does not exist in namespace \S+\. Create it/
      expect(await messageOf('doors', 'SecretMissing')).toMatch(missing)
      await shop.k('create', 'secret', 'generic', 'doors', '--from-literal=password=a-wrong-one')
      expect(await messageOf('doors', 'AccessDenied')).toMatch(/pod doors-processor-\S+, container processor.*password/)
      const right = (await shop.json('get', 'secret/postgres')).data.password
      await shop.k('patch', 'secret/doors', '-p', JSON.stringify({ data: { password: right } }))
      await messageOf('doors', 'Streaming')
      const all = JSON.stringify([await shop.json('get', 'salespipeline/doors'), await shop.json('get', 'events')])
      for (const secret of ['a-wrong-one', right, Buffer.from(right, 'base64').toString()])
        expect(all).not.toContain(secret)
    },
    6 * MINUTES,
  )

  it(
    'names a missing topic and recovers',
    async () => {
      await shop.apply('elsewhere', {
        source: { topic: 'elsewhere', bootstrapServers: ['kafka-kafka-bootstrap:9092'] },
      })
      expect(await messageOf('elsewhere', 'TopicMissing')).toMatch(/topic elsewhere does not exist: create it/)
      const tool = ['/usr/lib/java/bin/java', '-cp', '/app/kafka/*', 'org.apache.kafka.tools.TopicCommand']
      const args = ['--bootstrap-server=kafka-kafka-bootstrap:9092', '--create', '--topic=elsewhere', '--partitions=2']
      await shop.k('exec', 'kafka-nodes-0', '--', ...tool, ...args)
      expect(await messageOf('elsewhere', 'Streaming')).toMatch(/no sale has arrived yet/)
    },
    6 * MINUTES,
  )

  it(
    'names an image that cannot be pulled, while the running workers continue',
    async () => {
      const image = 'salespipeline/processor:nowhere'
      await kubectl([...SYSTEM, 'set', 'env', 'deployment/salespipeline-operator', `PROCESSOR_IMAGE=${image}`])
      expect(await messageOf('doors', 'ImageCannotBePulled')).toContain(image)
      expect((await shop.status('doors')).workers.ready).toBeGreaterThan(0)
      await installOperator()
      await messageOf('doors', 'Streaming')
    },
    6 * MINUTES,
  )

  it(
    'leaves Ready unmet for kubectl wait after a doomed change, names the quota that refuses the pods, and recovers',
    async () => {
      const wait = (seconds: number) =>
        shop.k('wait', 'salespipeline/doors', '--for=condition=Ready', `--timeout=${seconds}s`)
      await wait(60)
      await shop.patch('doors', { workers: { resources: { requests: { cpu: '1000' } } } })
      await expect(wait(10)).rejects.toThrow(/timed out/)
      await messageOf('doors', 'PodUnschedulable')
      await shop.k('create', 'quota', 'none', '--hard=count/pods=0')
      await shop.patch('doors', { workers: { resources: { requests: { cpu: '10m' } } } })
      expect(await messageOf('doors', 'PodsRefused')).toMatch(/quota: none.* ResourceQuota none/)
      await shop.k('delete', 'quota', 'none')
      await wait(180)
    },
    6 * MINUTES,
  )

  it(
    'names a store that is down during the deletion, which waits until the rows are deleted',
    async () => {
      await shop.patch('doors', { deletionPolicy: 'delete' })
      await shop.apply('kept', {})
      await until('all have stored something', async () => (await stored()).length === 3, MINUTES)
      await routePostgresTo('nobody')
      await shop.k('delete', 'salespipeline/doors', '--wait=false')
      const message = await messageOf('doors', 'DeletionWaits')
      expect(message).toMatch(/StoreUnavailable: PostgreSQL error while .* set spec.deletionPolicy to retain/)
      expect((await shop.json('get', 'salespipeline/doors')).metadata.finalizers).toHaveLength(1)
      expect(await stored()).toContain('doors')
      await routePostgresTo('postgres')
      const isDeleted = async () => {
        const { items } = await shop.json('get', 'salespipelines')
        return !items.some(({ metadata }: Json) => metadata.name === 'doors')
      }
      await until('the pipeline is deleted', isDeleted, 2 * MINUTES)
      expect(await stored()).toEqual(['elsewhere', 'kept'])
      expect(await shop.pods('doors')).toEqual([])
    },
    6 * MINUTES,
  )

  it(
    'lets a namespace be deleted with its pipelines, and records the data that is left',
    async () => {
      const doomed = new Shop('doomed')
      await kubectl(['create', 'namespace', doomed.namespace])
      await doomed.apply('kept')
      await doomed.apply('removed', { deletionPolicy: 'delete' })
      const finalizersOf = async (name: string) =>
        (await doomed.json('get', `salespipeline/${name}`)).metadata.finalizers
      await until('the finalizer is set', async () => (await finalizersOf('removed'))?.length === 1)
      expect(await finalizersOf('kept')).toBeUndefined()
      await kubectl(['delete', 'namespace', doomed.namespace, '--timeout=180s'])
      const { items } = JSON.parse(await kubectl([...SYSTEM, 'get', 'events', '-o', 'json']))
      const records = items.filter(({ reason }: Json) => reason === 'DataLeft').map((event: Json) => event.message)
      expect(records).toEqual([expect.stringMatching(`^SalesPipeline ${doomed.namespace}/removed: .*; left: schema `)])
    },
    6 * MINUTES,
  )
})
