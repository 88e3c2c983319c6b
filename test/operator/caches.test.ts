/** Tests which pipelines a change enqueues. The API server is a fake that serves given lists and streams. */
import { PassThrough } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { Caches } from '#operator/caches.ts'
import type { KubeClient } from '#operator/kube/client.ts'
import {
  KAFKA_TOPIC,
  type KubeObject,
  pathOf,
  type Resource,
  SALES_PIPELINE,
  SECRET,
} from '#operator/kube/resources.ts'

const REFERENCE = { sinks: { postgres: { passwordSecretRef: { name: 'login', key: 'password' } } } }

function pipeline(name: string, spec: object, namespace = 'shop'): KubeObject {
  const { apiVersion, kind } = SALES_PIPELINE
  return { apiVersion, kind, metadata: { name, namespace, resourceVersion: '1' }, spec }
}

async function cachesWith(pipelines: KubeObject[]) {
  const stopping = new AbortController()
  const streams = new Map<string, PassThrough>()
  const client = {
    serves: async () => true,
    list: async (resource: Resource) => ({
      items: resource === SALES_PIPELINE ? pipelines : [],
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
    clock: { now: Date.now, sleep: async () => {} },
    chance: { next: () => 0 },
    log: () => {},
    enqueue: key => enqueued.push(key),
  })
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  const running = caches.run(stopping.signal, resolve)
  onTestFinished(async () => {
    stopping.abort()
    await running
  })
  await synced
  await new Promise(setImmediate)
  enqueued.length = 0
  return {
    async add(resource: Resource, metadata: KubeObject['metadata'], more: object = {}) {
      const object = { metadata: { resourceVersion: '2', ...metadata }, ...more }
      streams.get(pathOf(resource))!.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
      await new Promise(setImmediate)
      return enqueued
    },
  }
}

it('enqueues only the pipelines whose spec refers to a Secret that appears', async () => {
  const caches = await cachesWith([
    pipeline('refers', REFERENCE),
    pipeline('other-secret', { sinks: { postgres: { passwordSecretRef: { name: 'other', key: 'login' } } } }),
    pipeline('topic', { source: { topic: 'login' } }),
    pipeline('aggregation', { aggregations: [{ name: 'login' }] }),
    pipeline('elsewhere', REFERENCE, 'office'),
  ])
  expect(await caches.add(SECRET, { namespace: 'shop', name: 'login' })).toEqual(['shop/refers'])
})

it('enqueues a pipeline whose spec is invalid when a Secret that it refers to appears', async () => {
  const caches = await cachesWith([pipeline('invalid', { ...REFERENCE, source: 7, aggregations: null })])
  expect(await caches.add(SECRET, { namespace: 'shop', name: 'login' })).toEqual(['shop/invalid'])
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
