/** Tests what a deleted pipeline waits for, above all in a namespace that is being deleted. */
import { describe, expect, it } from 'vitest'
import { leftBehind } from '#operator/left-behind.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { documentWith } from '../pipeline/documents.ts'
import { FakeCluster } from './fake-cluster.ts'

const FINALIZER = 'salespipeline.dev/cleanup'
const DELETE = { 'spec.deletionPolicy': 'delete' }

describe('the finalizer', () => {
  it.each<[string, Record<string, unknown>, string[], string[]]>([
    ['is not set for deletionPolicy retain', {}, [], []],
    ['is removed from a pipeline of release 0.3.0 with deletionPolicy retain', {}, ['x/y', FINALIZER], ['x/y']],
    ['is set for deletionPolicy delete', DELETE, ['x/y'], ['x/y', FINALIZER]],
  ])('%s', async (_what, changes, finalizers, expected) => {
    const cluster = new FakeCluster()
    const key = cluster.create('shop', 'a', changes, { finalizers })
    await cluster.pass(key)
    expect(cluster.pipelines.get(key)!.metadata.finalizers).toEqual(expected)
  })

  it('of release 0.3.0 does not keep a pipeline with deletionPolicy retain that is being deleted', async () => {
    const cluster = new FakeCluster()
    const key = cluster.create('shop', 'a', {}, { finalizers: [FINALIZER] })
    cluster.delete(key)
    await cluster.pass(key)
    expect(cluster.pipelines.has(key)).toBe(false)
  })
})

describe('a pipeline with deletionPolicy delete in a namespace that is being deleted', () => {
  async function deletedWithItsNamespace(
    changes: Record<string, unknown> = {},
    annotations: Record<string, string> = {},
  ) {
    const cluster = new FakeCluster()
    cluster.namespaces.set('shop', {})
    cluster.namespaces.set('kafka', { annotations })
    const key = cluster.create('shop', 'a', { ...DELETE, ...changes })
    await cluster.pass(key)
    for (const [id, { metadata }] of cluster.objects) if (metadata.namespace === 'shop') cluster.objects.delete(id)
    cluster.namespaces.set('shop', { deletionTimestamp: new Date(cluster.now).toISOString().replace('.000', '') })
    cluster.delete(key)
    return { cluster, key }
  }

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no Job can remove the data', {}, /no Job can start there/],
    ['its spec is invalid', { 'spec.window': { size: 'x' } }, /spec.window/],
  ])('reports when %s, and is released after a minute with a record of what it left', async (_why, changes, cause) => {
    const { cluster, key } = await deletedWithItsNamespace(changes)
    await cluster.pass(key, 59_000)
    const { reason, message } = cluster.condition(key, 'Ready')!
    expect(reason).toBe('DeletionWaits')
    expect(message).toMatch(cause)
    expect(message).toMatch(/^namespace shop is being deleted: .* At 2026-01-01T00:01:00Z the finalizer is removed/s)
    expect(cluster.events.filter(event => event.includes('DataLeft'))).toEqual([])
    await cluster.pass(key, 1000)
    expect(cluster.pipelines.has(key)).toBe(false)
    expect(cluster.events.at(-1)).toMatch(/^system DataLeft: SalesPipeline shop\/a: .*; left: /)
    expect(cluster.log).toContainEqual(
      expect.stringMatching(/^namespace deleted before the data could be removed; left: /),
    )
  })

  it('releases a pipeline of a deleted namespace only once, and deletes its KafkaTopic in another namespace', async () => {
    const strimzi = { 'spec.source.strimzi': { cluster: 'main', namespace: 'kafka' } }
    const { cluster, key } = await deletedWithItsNamespace(strimzi, { 'salespipeline.dev/topics-from': 'shop' })
    cluster.conflicts = 2
    for (let i = 0; i < 2; i++) await expect(cluster.pass(key, 60_000)).rejects.toThrow('conflict')
    await cluster.pass(key, 1000)
    expect(cluster.pipelines.has(key)).toBe(false)
    expect(cluster.writes.filter(write => write.startsWith('delete'))).toEqual(['delete KafkaTopic kafka/shop.a'])
    expect(cluster.events.filter(event => event.includes('DataLeft'))).toHaveLength(1)
  })

  it('releases a pipeline of a deleted namespace at once if its data was removed before', async () => {
    const { cluster, key } = await deletedWithItsNamespace()
    const name = `a-removal-${'uid-shop/a'.slice(0, 8)}`
    const metadata = { namespace: 'shop', name, annotations: { 'salespipeline.dev/pipeline': key } }
    cluster.put({ apiVersion: 'batch/v1', kind: 'Job', metadata, status: { succeeded: 1 } })
    await cluster.pass(key)
    expect(cluster.pipelines.has(key)).toBe(false)
    expect(cluster.events.join()).not.toContain('DataLeft')
  })

  it('waits without end in a namespace that stays', async () => {
    const { cluster, key } = await deletedWithItsNamespace()
    cluster.namespaces.set('shop', {})
    for (let minute = 0; minute < 5; minute++) await cluster.pass(key, 60_000)
    expect(cluster.condition(key, 'Ready')!.reason).toBe('Deleting')
    expect(cluster.pipelines.has(key)).toBe(true)
  })
})

it('says that no pod removes the data if none exists 30 s after its Job', async () => {
  const cluster = new FakeCluster()
  const key = cluster.create('shop', 'a', DELETE)
  await cluster.pass(key)
  for (const id of cluster.objects.keys()) cluster.objects.delete(id)
  cluster.delete(key)
  await cluster.pass(key)
  const job = [...cluster.objects.values()].find(({ kind }) => kind === 'Job')!
  job.metadata.creationTimestamp = new Date(cluster.now).toISOString()
  await cluster.pass(key, 18_000)
  expect(cluster.condition(key, 'Ready')!.reason).toBe('Deleting')
  await cluster.pass(key, 12_000)
  expect(cluster.condition(key, 'Ready')).toMatchObject({
    reason: 'DeletionWaits',
    message: expect.stringMatching(
      /^PodsRefused: Job a-removal-\S+, which removes the data, has no pod: a ResourceQuota, .* kubectl -n shop describe job a-removal-\S+ shows the reason\. /,
    ),
  })
})

it('names the schema, with the name of releases up to 0.3.0, and the indexes of data that is left', () => {
  const sinks = {
    postgres: { host: 'pg', database: 'sales' },
    elasticsearch: { nodes: ['http://es:9200'], projections: [{ aggregation: 'by_store', index: 'stores' }] },
  }
  const { spec } = checkPipeline(documentWith({ 'spec.sinks': sinks }))
  expect(leftBehind({ namespace: 'shop', name: 'a-b' }, spec)).toMatch(
    /^schema shop_a_b_[0-9a-f]{8} \(or shop_a_b, if a release up to 0.3.0 created it\) in database sales of PostgreSQL pg:5432; documents in stores of Elasticsearch http:\/\/es:9200$/,
  )
})
