/** Tests which pipelines a change enqueues. The API server is a fake that serves given lists and streams. */
import { PassThrough } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { Caches } from '#operator/caches.ts'
import type { KubeClient } from '#operator/kube/client.ts'
import {
  CONFIG_MAP,
  JOB,
  KAFKA_TOPIC,
  type KubeObject,
  keyOf,
  POD,
  POD_MONITOR,
  pathOf,
  type Resource,
  SALES_PIPELINE,
  SECRET,
} from '#operator/kube/resources.ts'

const VARIABLE = { pods: { env: [{ name: 'KEY', valueSecretRef: { name: 'login', key: 'password' } }] } }

function pipeline(name: string, spec: object, namespace = 'shop'): KubeObject {
  const { apiVersion, kind } = SALES_PIPELINE
  return { apiVersion, kind, metadata: { name, namespace, resourceVersion: '1' }, spec }
}

type Options = { namespaces?: string[]; secrets?: boolean; unserved?: Resource[] }

async function cachesWith(pipelines: KubeObject[], { namespaces = [], secrets = false, unserved = [] }: Options = {}) {
  const stopping = new AbortController()
  const streams = new Map<string, PassThrough>()
  const sleeping: (() => void)[] = []
  const client = {
    serves: async (resource: Resource) => !unserved.includes(resource),
    list: async (resource: Resource, { namespace }: { namespace?: string }) => ({
      items: resource === SALES_PIPELINE ? pipelines.filter(({ metadata }) => isIn(metadata, namespace)) : [],
      resourceVersion: '1',
    }),
    stream: async (_method: string, path: string) => {
      const stream = new PassThrough({ signal: stopping.signal })
      streams.set(path, stream)
      return stream
    },
  }
  const enqueued: string[] = []
  const caches = new Caches({
    client: client as unknown as KubeClient,
    clock: { now: Date.now, sleep: () => new Promise(resolve => sleeping.push(resolve)) },
    chance: { next: () => 0 },
    log: () => {},
    namespaces,
    secrets,
    enqueue: key => enqueued.push(key),
  })
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  const running = caches.run(stopping.signal, resolve)
  const settled = () => new Promise(setImmediate)
  const wake = async () => {
    for (const end of sleeping.splice(0)) end()
    await settled()
    await settled()
  }
  onTestFinished(async () => {
    stopping.abort()
    await settled()
    await wake()
    await running
  })
  await synced
  await settled()
  enqueued.length = 0
  return {
    caches,
    enqueued,
    watched: [...streams.keys()],
    /** Ends the pauses of the caches. */
    wake,
    async add(resource: Resource, metadata: KubeObject['metadata'], more: object = {}) {
      const object = { metadata: { resourceVersion: '2', ...metadata }, ...more }
      streams.get(pathOf(resource))!.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
      await settled()
      return enqueued
    },
  }
}

const isIn = ({ namespace }: KubeObject['metadata'], wanted: string | undefined) => !wanted || namespace === wanted

it('enqueues only the pipelines with a variable from a Secret that appears, also if their spec is invalid', async () => {
  const caches = await cachesWith(
    [
      pipeline('refers', VARIABLE),
      pipeline('invalid', { ...VARIABLE, source: 7, aggregations: null }),
      pipeline('password', { sinks: { postgres: { passwordSecretRef: { name: 'login', key: 'password' } } } }),
      pipeline('topic', { source: { topic: 'login' } }),
      pipeline('elsewhere', VARIABLE, 'office'),
    ],
    { secrets: true },
  )
  expect(await caches.add(SECRET, { namespace: 'shop', name: 'login' })).toEqual(['shop/refers', 'shop/invalid'])
})

it('neither lists nor watches Secrets unless variables may come from them', async () => {
  const { caches, watched } = await cachesWith([pipeline('refers', VARIABLE)])
  expect(watched.length).toBeGreaterThan(8)
  expect(watched.filter(path => path.includes('secrets'))).toEqual([])
  expect(caches.secretLabels('shop/login')).toBeUndefined()
})

it('sees only the namespaces that it serves', async () => {
  const all = [pipeline('a', {}), pipeline('b', {}, 'office'), pipeline('c', {}, 'elsewhere')]
  const { caches, watched } = await cachesWith(all, { namespaces: ['shop', 'office'] })
  expect(caches.pipelines.keys()).toEqual(['shop/a', 'office/b'])
  expect(caches.pipelines.size).toBe(2)
  expect(caches.pipelines.get('office/b')).toEqual(all[1])
  expect(caches.pipelines.get('elsewhere/c')).toBeUndefined()
  expect([caches.watches('office'), caches.watches('elsewhere')]).toEqual([true, false])
  expect(watched.length).toBeGreaterThan(16)
  for (const path of watched) expect(path).toMatch(/\/namespaces\/(shop|office)\//)
})

it('follows a kind of another operator once the cluster serves it, and enqueues all pipelines then', async () => {
  const unserved = [KAFKA_TOPIC, POD_MONITOR]
  const { caches, enqueued, wake } = await cachesWith([pipeline('a', {}), pipeline('b', {})], { unserved })
  await wake()
  expect([caches.serves(KAFKA_TOPIC), caches.serves(POD_MONITOR), enqueued]).toEqual([false, false, []])
  unserved.shift()
  await wake()
  expect([caches.serves(KAFKA_TOPIC), caches.serves(POD_MONITOR)]).toEqual([true, false])
  expect(enqueued).toEqual(['shop/a', 'shop/b'])
})

it('finds the objects of a pipeline by annotation, owner or label, and forgets deleted ones', async () => {
  const { caches, add } = await cachesWith([])
  const labels = { 'app.kubernetes.io/instance': 'a', 'app.kubernetes.io/component': 'processor' }
  const { apiVersion, kind } = SALES_PIPELINE
  const owner = { apiVersion, kind, namespace: 'shop', name: 'a', uid: 'u' }
  const ownerReferences = [{ apiVersion, kind, name: 'a', uid: 'u', controller: true }]
  await add(CONFIG_MAP, { namespace: 'shop', name: 'a-config', ownerReferences })
  await add(CONFIG_MAP, { namespace: 'shop', name: 'a-forged', labels })
  await add(JOB, { namespace: 'shop', name: 'a-removal', annotations: { 'salespipeline.dev/pipeline': 'shop/a' } })
  await add(POD, { namespace: 'shop', name: 'a-1', labels })
  await add(POD, { namespace: 'office', name: 'a-1', labels })
  expect(caches.childrenOf(owner).map(({ metadata }) => metadata.name)).toEqual(['a-config', 'a-removal'])
  expect(caches.podsOf(owner).map(keyOf)).toEqual(['shop/a-1'])
  expect(caches.podsOf(owner, 'ingest')).toEqual([])
})

it('enqueues the pipelines that read the topic of a KafkaTopic, and the one that created it', async () => {
  const reading = (topic: string, strimzi: object) => ({ source: { topic, strimzi } })
  const caches = await cachesWith([
    pipeline('reads', reading('sales', { cluster: 'main' })),
    pipeline('reads-from-afar', reading('sales', { cluster: 'main', namespace: 'shop' }), 'tenant'),
    pipeline('other-topic', reading('returns', { cluster: 'main' })),
    pipeline('other-cluster', reading('sales', { cluster: 'second' })),
    pipeline('other-namespace', reading('sales', { cluster: 'main' }), 'office'),
    pipeline('no-strimzi', { source: { topic: 'sales' } }),
  ])
  const annotations = { 'salespipeline.dev/pipeline': 'shop/creator' }
  const metadata = { name: 'x', namespace: 'shop', labels: { 'strimzi.io/cluster': 'main' }, annotations }
  expect(await caches.add(KAFKA_TOPIC, metadata, { spec: { topicName: 'sales' } })).toEqual([
    'shop/creator',
    'shop/reads',
    'tenant/reads-from-afar',
  ])
})
