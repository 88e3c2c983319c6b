/** Tests which KafkaTopics the operator creates, changes and deletes, and what it reports about them. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { KubeObject } from '#operator/kube/resources.ts'
import { readSettings } from '#operator/settings.ts'
import { idleReport } from '../support/idle-report.ts'
import { FakeCluster, foreignTopic } from './fake-cluster.ts'

const CREATOR = 'salespipeline.dev/pipeline-uid'
const OWN = { 'spec.source.strimzi': { cluster: 'main' } }
const OTHER = { 'spec.source.strimzi': { cluster: 'main', namespace: 'kafka' } }
const DELETE = { 'spec.deletionPolicy': 'delete' }
const topicWrites = (cluster: FakeCluster) => cluster.writes.filter(write => write.includes('KafkaTopic'))

/** Runs the passes of a deletion until the pipeline no longer exists; the removal Job succeeds at once. */
async function deleted(cluster: FakeCluster, key: string) {
  cluster.delete(key)
  for (let i = 0; i < 9 && cluster.pipelines.has(key); i++) {
    await cluster.pass(key, 1000)
    for (const object of cluster.objects.values()) if (object.kind === 'Job') object.status = { succeeded: 1 }
  }
  expect(cluster.pipelines.has(key)).toBe(false)
}

describe('a KafkaTopic in another namespace', () => {
  const grants: [string, string[], Record<string, string> | null][] = [
    ['the annotation of the namespace', [], { 'salespipeline.dev/topics-from': 'shop, tenant' }],
    ['the annotation * of the namespace', [], { 'salespipeline.dev/topics-from': '*' }],
    ['the settings of the operator', ['other', 'kafka'], null],
    ['the setting * of the operator', ['*'], null],
  ]
  it.each(grants)('creates a KafkaTopic in another namespace if %s allows it', async (_by, settings, annotations) => {
    const cluster = new FakeCluster(settings)
    cluster.namespaces.set('kafka', annotations ? { annotations } : {})
    const key = cluster.create('tenant', 'a', OTHER)
    await cluster.pass(key)
    expect(cluster.object('KafkaTopic kafka/tenant.a')?.metadata.annotations).toMatchObject({
      [CREATOR]: 'uid-tenant/a',
    })
    expect(cluster.condition(key, 'Accepted')).toMatchObject({ status: 'True' })
  })

  const refusals: [string, (cluster: FakeCluster) => void][] = [
    ['nobody allows it', cluster => cluster.namespaces.set('kafka', {})],
    [
      'only other namespaces are allowed',
      cluster => cluster.namespaces.set('kafka', { annotations: { 'salespipeline.dev/topics-from': 'tenants,ten' } }),
    ],
    ['the namespace does not exist', () => {}],
    ['the operator may not read the namespace', cluster => cluster.unreadable.add('kafka')],
  ]
  it.each(refusals)('neither creates nor deletes a KafkaTopic in another namespace if %s', async (_why, prepare) => {
    const cluster = new FakeCluster()
    prepare(cluster)
    const key = cluster.create('tenant', 'a', { ...OTHER, ...DELETE })
    expect(await cluster.pass(key)).toBe(10_000)
    const { status, reason, message } = cluster.condition(key, 'Ready')!
    expect({ status, reason }).toEqual({ status: 'False', reason: 'TopicNamespaceRefused' })
    expect(message).toContain('add tenant to the annotation salespipeline.dev/topics-from of namespace kafka')
    expect(cluster.condition(key, 'Accepted')).toMatchObject({ status: 'False', reason: 'TopicNamespaceRefused' })
    // Workers that run since before the upgrade continue.
    expect(cluster.object('Deployment tenant/a-processor')).toBeDefined()
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual([])
  })

  it('neither creates nor deletes a KafkaTopic in a namespace that the operator does not serve, whatever allows it', async () => {
    const cluster = new FakeCluster(['*'])
    cluster.unwatched.add('kafka')
    const key = cluster.create('tenant', 'a', { ...OTHER, ...DELETE })
    await cluster.pass(key)
    const { reason, message } = cluster.condition(key, 'Ready')!
    expect(reason).toBe('TopicNamespaceRefused')
    expect(message).toContain("add kafka to the chart's operator.watchNamespaces")
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual([])
  })

  it('creates a KafkaTopic soon after its namespace allows it, with few requests for the namespace', async () => {
    const cluster = new FakeCluster()
    cluster.namespaces.set('kafka', {})
    const key = cluster.create('tenant', 'a', OTHER)
    for (let second = 0; second < 10; second++) await cluster.pass(key, 900)
    expect(cluster.namespaceReads).toBe(1)
    cluster.namespaces.set('kafka', { annotations: { 'salespipeline.dev/topics-from': 'tenant' } })
    await cluster.pass(key, 10_000)
    expect(cluster.object('KafkaTopic kafka/tenant.a')).toBeDefined()
  })

  it('keeps a KafkaTopic, with an Event, if its namespace no longer allows it when the pipeline is deleted', async () => {
    const cluster = new FakeCluster()
    cluster.namespaces.set('kafka', { annotations: { 'salespipeline.dev/topics-from': 'tenant' } })
    const key = cluster.create('tenant', 'a', { ...OTHER, ...DELETE })
    await cluster.pass(key)
    cluster.namespaces.set('kafka', {})
    cluster.now += 60_000
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual(['apply KafkaTopic kafka/tenant.a'])
    expect(cluster.events.join()).toMatch(
      /CleanedUp: .*KafkaTopic kafka\/tenant.a stays: namespace kafka does not allow/,
    )
  })
})

it('reads the namespaces that the settings of the operator allow', () => {
  const images = { PROCESSOR_IMAGE: 'a', PRODUCER_IMAGE: 'b' }
  expect(readSettings(images).topicNamespaces).toEqual([])
  expect(readSettings({ ...images, TOPIC_NAMESPACES: 'kafka, events,' }).topicNamespaces).toEqual(['kafka', 'events'])
})

describe('a KafkaTopic of somebody else', () => {
  const shared = (changes: object = {}) => {
    const cluster = new FakeCluster()
    const topic = cluster.put(foreignTopic('shop', 'transactions', 'sales') as KubeObject)
    return { cluster, topic, key: cluster.create('shop', 'a', { ...OWN, ...DELETE, ...changes }) }
  }

  it('uses the KafkaTopic of somebody else instead of a second one for the same topic, and never changes or deletes it', async () => {
    const { cluster, topic, key } = shared()
    const before = structuredClone(topic)
    await cluster.pass(key)
    expect(cluster.condition(key, 'Accepted')).toMatchObject({
      status: 'True',
      message:
        'all objects of the spec are applied. KafkaTopic shop/transactions has another owner: it is used, but never changed or deleted',
    })
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual([])
    expect(cluster.object('KafkaTopic shop/transactions')).toEqual(before)
    expect(cluster.events.join()).toMatch(/CleanedUp: .*KafkaTopic shop\/transactions has another owner/)
  })

  it('uses the KafkaTopic of somebody else although the caches do not know it yet', async () => {
    const { cluster, key } = shared()
    cluster.unseen.add('shop/transactions')
    await cluster.pass(key)
    expect(topicWrites(cluster)).toEqual([])
    expect(cluster.condition(key, 'Accepted')!.message).toContain('KafkaTopic shop/transactions has another owner')
  })

  it.each<[string, Partial<KubeObject>]>([
    ['another topic', { spec: { topicName: 'other' } }],
    ['a topic without topicName', { spec: {} }],
    [
      'another Kafka cluster',
      { metadata: { namespace: 'shop', name: 'transactions', labels: { 'strimzi.io/cluster': 'second' } } },
    ],
    [
      'another namespace',
      { metadata: { namespace: 'kafka', name: 'transactions', labels: { 'strimzi.io/cluster': 'main' } } },
    ],
  ])('does not use a KafkaTopic that describes %s', async (_what, more) => {
    const cluster = new FakeCluster()
    cluster.put(foreignTopic('shop', 'transactions', 'sales', more) as KubeObject)
    await cluster.pass(cluster.create('shop', 'a', OWN))
    expect(cluster.object('KafkaTopic shop/shop.a')).toBeDefined()
  })

  it('reports a conflict for a KafkaTopic that has the name of ours and describes another topic', async () => {
    const cluster = new FakeCluster()
    cluster.put(foreignTopic('shop', 'shop.a', 'other') as KubeObject)
    const key = cluster.create('shop', 'a', OWN)
    await cluster.pass(key)
    expect(cluster.condition(key, 'Ready')).toMatchObject({ reason: 'ObjectConflict' })
    expect(topicWrites(cluster)).toEqual([])
  })

  const marks = (creator: string | undefined, createdAt: string) => ({
    metadata: {
      namespace: 'shop',
      name: 'shop.a',
      labels: { 'strimzi.io/cluster': 'main' },
      annotations: { 'salespipeline.dev/pipeline': 'shop/a', ...(creator && { [CREATOR]: creator }) },
      creationTimestamp: createdAt,
    },
  })
  it.each<[string, string | undefined, string]>([
    ['an earlier pipeline of the same name', 'uid-earlier', '2026-01-01T00:00:00Z'],
    ['release 0.3.0 for an earlier pipeline of the same name', undefined, '2025-12-31T23:59:59Z'],
  ])('treats a KafkaTopic that was created by %s as somebody else’s', async (_by, creator, createdAt) => {
    const cluster = new FakeCluster()
    cluster.put(foreignTopic('shop', 'shop.a', 'sales', marks(creator, createdAt)) as KubeObject)
    const key = cluster.create('shop', 'a', { ...OWN, ...DELETE })
    await cluster.pass(key)
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual([])
  })

  it('marks a KafkaTopic that release 0.3.0 created for this pipeline, and deletes it with the pipeline', async () => {
    const cluster = new FakeCluster()
    cluster.put(foreignTopic('shop', 'shop.a', 'sales', marks(undefined, '2026-01-01T00:00:00Z')) as KubeObject)
    const key = cluster.create('shop', 'a', { ...OWN, ...DELETE })
    await cluster.pass(key)
    expect(cluster.object('KafkaTopic shop/shop.a')?.metadata.annotations).toMatchObject({ [CREATOR]: 'uid-shop/a' })
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual(['apply KafkaTopic shop/shop.a', 'delete KafkaTopic shop/shop.a'])
  })

  it('treats a KafkaTopic as somebody else’s if its mark was forged in a namespace that does not allow the pipeline', async () => {
    const cluster = new FakeCluster()
    const key = cluster.create('shop', 'a', { ...OWN, ...DELETE })
    const { metadata } = marks('uid-shop/a', '2026-01-01T00:00:00Z')
    cluster.put(
      foreignTopic('tenant', 'shop.a', 'sales', { metadata: { ...metadata, namespace: 'tenant' } }) as KubeObject,
    )
    await cluster.pass(key)
    await deleted(cluster, key)
    expect(topicWrites(cluster)).toEqual(['apply KafkaTopic shop/shop.a', 'delete KafkaTopic shop/shop.a'])
  })
})

describe('a topic that several pipelines read', () => {
  it('keeps the one KafkaTopic of a topic while another pipeline reads it', async () => {
    const cluster = new FakeCluster()
    const [first, second] = ['a', 'b'].map(name => cluster.create('shop', name, { ...OWN, ...DELETE }))
    for (const key of [first!, second!]) await cluster.pass(key)
    expect(topicWrites(cluster)).toEqual(['apply KafkaTopic shop/shop.a'])
    await deleted(cluster, first!)
    expect(topicWrites(cluster)).toEqual(['apply KafkaTopic shop/shop.a'])
    expect(cluster.events.join()).toContain('KafkaTopic shop/shop.a stays: SalesPipeline shop/b reads its topic')
  })
})

describe('the status of a KafkaTopic', () => {
  afterEach(() => vi.unstubAllGlobals())
  const ready = (status: string, reason?: string, message?: string) => ({
    status: { conditions: [{ type: 'Ready', status, ...(reason && { reason }), ...(message && { message }) }] },
  })
  const conflict = ready('False', 'ResourceConflict', "Managed by Ref{namespace='shop', name='first'}")

  async function conditionsWith(more: Partial<KubeObject>, workerConditions: Record<string, string>) {
    const cluster = new FakeCluster()
    const key = cluster.create('shop', 'a', OWN)
    cluster.put(foreignTopic('shop', 'transactions', 'sales', more) as KubeObject)
    await cluster.pass(key)
    const { template } = cluster.object('Deployment shop/a-processor')!.spec as { template: { metadata: object } }
    cluster.pods.push({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...template.metadata, name: 'w-0', namespace: 'shop', uid: 'w' },
      status: { phase: 'Running', podIP: 'w-0', conditions: [{ type: 'Ready', status: 'True' }] },
    })
    const report = {
      topicPartitions: 2,
      proof: { partitions: [0, 1], sinks: ['postgres'] },
      conditions: workerConditions,
    }
    vi.stubGlobal('fetch', async () => Response.json(idleReport('w-0', cluster.now, report)))
    // The status is written again after 10 s.
    await cluster.pass(key, 10_000)
    return { ready: cluster.condition(key, 'Ready')!, notice: cluster.condition(key, 'Notice') }
  }

  it('shows the status of a KafkaTopic as Notice while workers find the topic', async () => {
    const { ready: own, notice } = await conditionsWith(conflict, {})
    expect(own).toMatchObject({ status: 'True' })
    expect(notice).toMatchObject({ reason: 'KafkaTopicNotReady' })
    expect(notice!.message).toMatch(
      /KafkaTopic shop\/transactions: ResourceConflict: Managed by .*annotate it with strimzi.io\/managed=false, then delete it$/,
    )
  })

  it.each<[string, Partial<KubeObject>, RegExp]>([
    [
      'what Strimzi reports',
      ready('False', 'KafkaError', 'no brokers'),
      /KafkaTopic shop\/transactions: KafkaError: no brokers/,
    ],
    [
      'that Strimzi has reported nothing',
      {},
      /no status for KafkaTopic shop\/transactions. Check that its Topic Operator runs/,
    ],
  ])('explains why the topic does not exist: %s', async (_what, more, message) => {
    const shown = await conditionsWith(more, { TopicMissing: 'topic sales does not exist' })
    expect(shown.ready).toMatchObject({
      status: 'False',
      reason: 'TopicNotCreated',
      message: expect.stringMatching(message),
    })
  })

  it('does not hide that a topic is missing which Strimzi believes to exist', async () => {
    const shown = await conditionsWith(ready('True'), { TopicMissing: 'topic sales does not exist' })
    expect(shown.ready).toMatchObject({ reason: 'TopicMissing' })
    expect(shown.notice).toBeUndefined()
  })
})
