/** What is at fault is said by name in the Ready condition, while pods really run, and heals once it is put right. */
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
  ...{ host: 'postgres', database: 'sales', usernameSecretRef: ref('postgres', 'username') },
  passwordSecretRef: ref(secret, 'password'),
})

/** Waits until Ready has this reason, and answers its message. */
const told = async (name: string, reason: string): Promise<string> => (await shop.ready(name, reason)).message

async function schemas(): Promise<string[]> {
  const { rows } = await database.client.query('SELECT nspname FROM pg_namespace WHERE nspname ~ $1', [
    shop.namespace.replaceAll('-', '_'),
  ])
  return rows.map(({ nspname }) => nspname.slice(shop.namespace.length + 1)).sort()
}

/** PostgreSQL keeps its data, and nobody reaches it any more by its name. */
const cutOff = (app: string) => {
  const selector = { 'app.kubernetes.io/name': app }
  return shop.k('patch', 'service/postgres', '--type=merge', '-p', JSON.stringify({ spec: { selector } }))
}

describe('a pipeline says what is at fault', () => {
  beforeAll(async () => {
    database = await Database.open(shop)
  }, 10 * MINUTES)

  afterAll(async () => {
    await installOperator()
    await cutOff('postgres')
    await database?.close()
    await shop.close()
  }, 3 * MINUTES)

  it(
    'with a Secret that is missing, then wrong, then right',
    async () => {
      await shop.apply('doors', { rate: 50, sinks: { postgres: postgresWith('doors') } })
      expect(await told('doors', 'SecretMissing')).toContain('Secret doors not found in namespace')
      await shop.k('create', 'secret', 'generic', 'doors', '--from-literal=password=a-wrong-one')
      expect(await told('doors', 'AccessDenied')).toMatch(/pod doors-processor-\S+, container processor.*password/)
      const right = (await shop.json('get', 'secret/postgres')).data.password
      await shop.k('patch', 'secret/doors', '-p', JSON.stringify({ data: { password: right } }))
      await told('doors', 'Streaming')
      const all = JSON.stringify([await shop.json('get', 'salespipeline/doors'), await shop.json('get', 'events')])
      for (const secret of ['a-wrong-one', right, Buffer.from(right, 'base64').toString()])
        expect(all).not.toContain(secret)
    },
    6 * MINUTES,
  )

  it(
    'with a topic that is missing',
    async () => {
      await shop.apply('elsewhere', {
        source: { topic: 'elsewhere', bootstrapServers: ['kafka-kafka-bootstrap:9092'] },
      })
      expect(await told('elsewhere', 'TopicMissing')).toMatch(/topic elsewhere does not exist: create it/)
      const tool = ['/usr/lib/java/bin/java', '-cp', '/app/kafka/*', 'org.apache.kafka.tools.TopicCommand']
      const args = ['--bootstrap-server=kafka-kafka-bootstrap:9092', '--create', '--topic=elsewhere', '--partitions=2']
      await shop.k('exec', 'kafka-nodes-0', '--', ...tool, ...args)
      await told('elsewhere', 'AwaitingFirstResult')
    },
    6 * MINUTES,
  )

  it(
    'with an image that cannot be pulled, while the workers that run go on',
    async () => {
      const image = 'salespipeline/processor:nowhere'
      await kubectl([...SYSTEM, 'set', 'env', 'deployment/salespipeline-operator', `PROCESSOR_IMAGE=${image}`])
      expect(await told('doors', 'ImageCannotBePulled')).toContain(image)
      expect((await shop.status('doors')).workers.ready).toBeGreaterThan(0)
      await installOperator()
      await told('doors', 'Streaming')
    },
    6 * MINUTES,
  )

  it(
    'with a store that is down while it is deleted: nothing is let go before its rows are gone',
    async () => {
      await shop.patch('doors', { deletionPolicy: 'delete' })
      await shop.apply('kept', {})
      await until('all have stored something', async () => (await schemas()).join() === 'doors,elsewhere,kept', MINUTES)
      await cutOff('nobody')
      await shop.k('delete', 'salespipeline/doors', '--wait=false')
      const message = await told('doors', 'DeletionWaits')
      expect(message).toMatch(/StoreUnavailable: PostgreSQL error while .* set spec.deletionPolicy to retain/)
      expect((await shop.json('get', 'salespipeline/doors')).metadata.finalizers).toHaveLength(1)
      expect(await schemas()).toContain('doors')
      await cutOff('postgres')
      const isGone = async () => {
        const { items } = await shop.json('get', 'salespipelines')
        return !items.some(({ metadata }: Json) => metadata.name === 'doors')
      }
      await until('it is let go', isGone, 2 * MINUTES)
      expect(await schemas()).toEqual(['elsewhere', 'kept'])
      expect(await shop.pods('doors')).toEqual([])
    },
    6 * MINUTES,
  )
})
