/** Tests of topics and of namespaces that are deleted, for the API server and the operator of operator.test.ts. */
import { describe, expect, it } from 'vitest'
import type { ApiServer } from '../support/api-server.ts'
import { type Json, Kube, RBAC } from '../support/kube.ts'
import { unique } from '../support/services.ts'
import { until } from '../support/until.ts'
import { completeJob, pipelineNamed, removalJobPath, SYSTEM } from './rig.ts'

const KAFKA = '/apis/kafka.strimzi.io/v1'
const MERGE = 'application/merge-patch+json'
const ANNOTATION = 'salespipeline.dev/topics-from'
const namespaceName = (base: string) => unique(base).replaceAll('_', '-')
const topicPath = (namespace: string, name = '') => `${KAFKA}/namespaces/${namespace}/kafkatopics${name && `/${name}`}`

/** Without it, the API server deletes a pipeline at once. */
export const finalizerSet = (kube: Kube, path: string) =>
  until(`${path} has a finalizer`, async () => (await kube.find(path))?.metadata.finalizers?.length > 0)

/** Returns a function that registers the last test: the minute that it waits for then passes during the others. */
export function topicTests(cluster: () => { kube: Kube; server: ApiServer }): () => void {
  const condition = (namespace: string, name: string, type: string, reason: string): Promise<Json> =>
    until(`${type} of ${name} has reason ${reason}`, async () => {
      const { kube } = cluster()
      const { status } = (await kube.find(kube.pipelinePath(namespace, name))) ?? {}
      return status?.conditions?.find((c: Json) => c.type === type && c.reason === reason)
    })
  const withTopic = (name: string, namespace: string, topic: string, more: object = {}) =>
    pipelineNamed(name, {
      source: { topic, bootstrapServers: ['kafka:9092'], strimzi: { cluster: 'main', namespace } },
      ...more,
    })

  /** Resolves with a client that may do anything with SalesPipelines of one namespace, and nothing else. */
  async function pipelineEditor(namespace: string): Promise<Kube> {
    const { kube, server } = cluster()
    const rules = [{ apiGroups: ['salespipeline.dev'], resources: ['salespipelines'], verbs: ['*'] }]
    await kube.demand('POST', `${RBAC}/namespaces/${namespace}/roles`, { metadata: { name: 'editor' }, rules })
    const token = await kube.account(namespace, 'editor', { kind: 'Role', name: 'editor' })
    const editor = new Kube({ ...server, token })
    const rights = editor.pipelinePath(namespace)
    // The API server follows a RoleBinding a moment later.
    await until('the editor has its rights', async () => (await editor.request('GET', rights)).code === 200)
    return editor
  }

  async function namespaces() {
    const { kube } = cluster()
    const tenant = await kube.namespace(namespaceName('tenant'))
    return { kube, tenant, victim: await kube.namespace(namespaceName('victim')) }
  }

  /** Creates the KafkaTopic `orders`, which belongs to no pipeline. Resolves with its uid. */
  async function foreignTopic(namespace: string): Promise<string> {
    const orders = { metadata: { name: 'orders', labels: { 'strimzi.io/cluster': 'main' } }, spec: { partitions: 1 } }
    const topic = { apiVersion: 'kafka.strimzi.io/v1', kind: 'KafkaTopic', ...orders }
    return (await cluster().kube.demand('POST', topicPath(namespace), topic)).metadata.uid
  }

  /** Resolves with the uids of the KafkaTopics that are not being deleted. */
  async function topicsOf(namespace: string): Promise<string[]> {
    const { items } = await cluster().kube.demand('GET', topicPath(namespace))
    return items.filter(({ metadata }: Json) => !metadata.deletionTimestamp).map(({ metadata }: Json) => metadata.uid)
  }

  /** Deletes a pipeline with deletionPolicy delete, and resolves when the operator has let it go. */
  async function deleteWithData(as: Kube, namespace: string, name: string): Promise<void> {
    const { kube } = cluster()
    const path = kube.pipelinePath(namespace, name)
    await finalizerSet(kube, path)
    const { uid } = (await kube.find(path)).metadata
    await as.demand('DELETE', path)
    const job = removalJobPath(namespace, name, uid)
    await until(`Job of ${name} exists`, () => kube.find(job))
    await completeJob(kube, job)
    await until(`${name} is gone`, async () => (await kube.find(path)) === null)
  }

  /** Deletes a namespace with a pipeline once, and resolves with the namespace when the status shows what the deletion waits for. */
  let doomed: Promise<string> | undefined
  async function deleteNamespace(): Promise<string> {
    const { kube, tenant } = await namespaces()
    await kube.demand('POST', kube.pipelinePath(tenant), pipelineNamed('doomed', { deletionPolicy: 'delete' }))
    await finalizerSet(kube, kube.pipelinePath(tenant, 'doomed'))
    await condition(tenant, 'doomed', 'Ready', 'WorkersStarting')
    // No namespace controller runs here: it would delete the namespace's objects, as the next lines do.
    await kube.demand('DELETE', `/api/v1/namespaces/${tenant}`)
    await kube.demand('DELETE', kube.pipelinePath(tenant, 'doomed'))
    // It waits for the workers first.
    const text = /^namespace \S+ is being deleted: no Job can start there .* this data stays: schema /
    await until('the status says that no Job can start', async () =>
      text.test((await condition(tenant, 'doomed', 'Ready', 'DeletionWaits')).message),
    )
    return tenant
  }

  // Each test waits for the time between two writes of a status.
  describe.concurrent('topics', () => {
    it('of another namespace cannot be created or deleted by someone who may only edit SalesPipelines', async () => {
      const { kube, tenant, victim } = await namespaces()
      const uid = await foreignTopic(victim)
      const attacker = await pipelineEditor(tenant)
      const body = { apiVersion: 'kafka.strimzi.io/v1', kind: 'KafkaTopic', metadata: { name: 'mine' }, spec: {} }
      expect((await attacker.request('POST', topicPath(victim), body)).code).toBe(403)
      for (const [name, topic] of [
        ['creates', 'new-topic'],
        ['deletes', 'orders'],
      ] as const)
        await attacker.demand(
          'POST',
          kube.pipelinePath(tenant),
          withTopic(name, victim, topic, { deletionPolicy: 'delete' }),
        )
      for (const name of ['creates', 'deletes']) {
        const { message } = await condition(tenant, name, 'Ready', 'TopicNamespaceRefused')
        expect(message).toContain(`add ${tenant} to the annotation ${ANNOTATION} of namespace ${victim}`)
        await deleteWithData(attacker, tenant, name)
      }
      expect(await topicsOf(victim)).toEqual([uid])
    })

    it('of another owner stays when a pipeline that was allowed to use it is deleted with its data', async () => {
      const { kube, tenant, victim } = await namespaces()
      const uid = await foreignTopic(victim)
      const annotations = { [ANNOTATION]: tenant }
      await kube.demand('PATCH', `/api/v1/namespaces/${victim}`, { metadata: { annotations } }, MERGE)
      const using = withTopic('using', victim, 'orders', { deletionPolicy: 'delete' })
      await kube.demand('POST', kube.pipelinePath(tenant), using)
      expect((await condition(tenant, 'using', 'Accepted', 'Applied')).message).toContain(
        `KafkaTopic ${victim}/orders has another owner`,
      )
      await deleteWithData(kube, tenant, 'using')
      expect(await topicsOf(victim)).toEqual([uid])
    })

    it('of another namespace are created soon after its owner allows it', async () => {
      const { kube, tenant, victim } = await namespaces()
      await kube.demand('POST', kube.pipelinePath(tenant), withTopic('allowed', victim, 'new-topic'))
      await condition(tenant, 'allowed', 'Accepted', 'TopicNamespaceRefused')
      const annotations = { [ANNOTATION]: `other,${tenant}` }
      await kube.demand('PATCH', `/api/v1/namespaces/${victim}`, { metadata: { annotations } }, MERGE)
      const { metadata } = await until('the KafkaTopic exists', () => kube.find(topicPath(victim, `${tenant}.allowed`)))
      const { uid } = (await kube.find(kube.pipelinePath(tenant, 'allowed'))).metadata
      expect(metadata.annotations['salespipeline.dev/pipeline-uid']).toBe(uid)
      await condition(tenant, 'allowed', 'Accepted', 'Applied')
    })

    it('uses the KafkaTopic that already describes the topic, and shows its faults in the pipeline', async () => {
      const { kube, tenant } = await namespaces()
      const labels = { 'strimzi.io/cluster': 'main' }
      const theirs = { metadata: { name: 'by-the-chart', labels }, spec: { topicName: 'shared', partitions: 1 } }
      await kube.demand('POST', topicPath(tenant), { apiVersion: 'kafka.strimzi.io/v1', kind: 'KafkaTopic', ...theirs })
      await kube.demand('POST', kube.pipelinePath(tenant), withTopic('sharing', tenant, 'shared'))
      const { message } = await condition(tenant, 'sharing', 'Accepted', 'Applied')
      expect(message).toContain(`KafkaTopic ${tenant}/by-the-chart has another owner`)
      const fault = { type: 'Ready', status: 'False', reason: 'ResourceConflict', message: 'Managed by another' }
      const status = { conditions: [{ ...fault, lastTransitionTime: '2026-01-01T00:00:00Z' }] }
      await kube.demand('PATCH', `${topicPath(tenant, 'by-the-chart')}/status`, { status }, MERGE)
      expect((await condition(tenant, 'sharing', 'Notice', 'KafkaTopicNotReady')).message).toContain(
        `KafkaTopic ${tenant}/by-the-chart: ResourceConflict: Managed by another`,
      )
      const { items } = await kube.demand('GET', topicPath(tenant))
      expect(items).toMatchObject([{ metadata: { name: 'by-the-chart' }, spec: { partitions: 1 } }])
    })

    it('reports in a namespace that is being deleted that no Job can remove the data', async () => {
      doomed ??= deleteNamespace()
      await doomed
    })
  })

  return () =>
    it('releases a deleted namespace after a minute and records what is left', { timeout: 150_000 }, async () => {
      doomed ??= deleteNamespace()
      const tenant = await doomed
      const { kube } = cluster()
      const isGone = async () => (await kube.find(kube.pipelinePath(tenant, 'doomed'))) === null
      await until('the pipeline is released', isGone, 90_000)
      const { items } = await kube.demand('GET', `/api/v1/namespaces/${SYSTEM}/events`)
      const records = items.filter(({ reason }: Json) => reason === 'DataLeft').map((e: Json) => e.message)
      expect(records).toEqual([expect.stringContaining(`SalesPipeline ${tenant}/doomed: namespace deleted before`)])
    })
}
