/** Tests the order of a pass: observe, decide, apply, status. The API server and the workers are fakes in memory. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Applier } from '#operator/apply.ts'
import type { Caches } from '#operator/caches.ts'
import type { Owner } from '#operator/desired/observed.ts'
import { Events } from '#operator/events.ts'
import { type KubeClient, KubeError } from '#operator/kube/client.ts'
import { type KubeObject, keyOf, type Resource } from '#operator/kube/resources.ts'
import { Reconciler } from '#operator/reconcile.ts'
import type { Status } from '#operator/status/input.ts'
import { documentWith } from '../pipeline/documents.ts'
import { idleReport } from '../support/idle-report.ts'

const KEY = 'default/sales'
const DEPLOYMENT = 'Deployment default/sales-processor'
const SETTINGS = {
  images: { processor: 'p', producer: 'q', pullPolicy: 'IfNotPresent' as const, pullSecrets: [] },
  telemetry: {},
  namespace: 'system',
  topicNamespaces: [],
  allowed: { serviceAccounts: ['shop-*'], imagePullSecrets: ['registry'], env: ['TZ', 'JDBC_*'], envSecrets: true },
}
const AUTOSCALED = { 'spec.workers': { replicas: 2, autoscale: { mode: 'active', max: 8 } } }
const UNKNOWN_FIELD =
  'failed to create typed patch object (default/sales-processor; apps/v1, Kind=Deployment): .spec.template.spec.affinity.nodeAfinity: field not declared in schema'
const { signal } = new AbortController()

type Pod = { affinity?: object; serviceAccountName?: string }
const podOf = ({ spec }: KubeObject) => (spec as { template?: { spec: Pod } } | undefined)?.template?.spec ?? {}

/** A cluster whose caches show every write at once. */
function rig(changes: Record<string, unknown>) {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const objects = new Map<string, KubeObject>()
  const events: string[] = []
  const scaled: string[] = []
  const appliedReplicas: number[] = []
  let versions = 0
  const secretLabels = new Map<string, Record<string, string>>()
  /** Kinds that the API server refuses. */
  const refused = new Set<string>()
  let status: Status | null = null
  const { metadata, ...document } = documentWith(changes) as KubeObject
  const pipeline: KubeObject = {
    ...document,
    metadata: { ...metadata, namespace: 'default', uid: 'u', generation: 1 },
  }
  const client = {
    find: async () => null,
    async apply(object: KubeObject) {
      if (object.kind === 'Deployment') appliedReplicas.push(replicasOf(object))
      if (refused.has(object.kind)) throw new KubeError(403, 'Forbidden', `${object.kind} is forbidden`)
      const { affinity } = podOf(object)
      if (affinity && 'nodeAfinity' in affinity) throw new KubeError(500, '', UNKNOWN_FIELD)
      const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++versions) } }
      objects.set(`${object.kind} ${keyOf(object)}`, stored)
      return stored
    },
    applyStatus: async (object: KubeObject) => void (pipeline.status = object.status),
    create: async (_resource: Resource, event: KubeObject) => void events.push(`${event.reason}: ${event.message}`),
    delete: async () => {},
  } as unknown as KubeClient
  const pods: KubeObject[] = []
  /** By component. */
  const producers = new Map<string, KubeObject[]>()
  const caches = {
    pipelines: new Map([[KEY, pipeline]]),
    serves: () => true,
    child: ({ kind }: Resource, key: string) => objects.get(`${kind} ${key}`),
    childrenOf: () => [...objects.values()],
    podsOf: (_owner: Owner, component?: string) =>
      component === 'processor' ? pods : (producers.get(component!) ?? []),
    secretLabels: (key: string) => secretLabels.get(key),
  } as unknown as Caches
  const clock = { now: () => now, sleep: async () => {} }
  const reconciler = new Reconciler({
    client,
    caches,
    applier: new Applier(client, () => {}),
    events: new Events(client, clock, () => {}),
    clock,
    settings: SETTINGS,
    removals: { keys: { subject: 'operator', keys: [] }, token: async () => 'a.b.c' },
    onStatus: (_key, newest) => {
      status = newest
    },
    onRefused: () => {},
    onScaled: (_owner: Owner, from, to) => scaled.push(`${from} → ${to}`),
    onExpelled: () => {},
  })
  return {
    objects,
    pods,
    producers,
    refused,
    secretLabels,
    scaled,
    appliedReplicas,
    replicas: () => replicasOf(objects.get(DEPLOYMENT)!),
    scaledEvents: () => events.filter(event => event.startsWith('Scaled')),
    status: () => status!,
    pipeline,
    /** Runs one pass, `ms` after the previous one. */
    async pass(ms = 5000) {
      now += ms
      return reconciler.reconcile(KEY, signal)
    },
    now: () => now,
  }
}

const replicasOf = (deployment: KubeObject) => (deployment.spec as { replicas: number }).replicas

/** Two workers that are 90 % busy, while four times as many records arrive as they can process. */
function busyWorkers({ pods, now }: ReturnType<typeof rig>) {
  const startedAt = now()
  for (const name of ['w-0', 'w-1'])
    pods.push({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', uid: name },
      status: { phase: 'Running', podIP: name, conditions: [{ type: 'Ready', status: 'True' }] },
    })
  const reportOf = (worker: string) => {
    const seconds = (now() - startedAt) / 1000
    return {
      ...idleReport(worker, now()),
      startedAt,
      topicPartitions: 8,
      counters: { records: 1000 * seconds, busySeconds: 0.9 * seconds, projectedRows: 0 },
      partitions: [0, 1, 2, 3].map(i => ({ partition: worker === 'w-0' ? i : i + 4, lag: 750 * seconds })),
    }
  }
  vi.stubGlobal('fetch', async (url: string) => Response.json(reportOf(new URL(url).hostname)))
}

beforeEach(() => vi.unstubAllGlobals())
afterEach(() => vi.unstubAllGlobals())

describe('a pass over a pipeline', () => {
  /** Runs the two passes that measure the need; the next one decides. */
  async function beforeTheDecision() {
    const cluster = rig(AUTOSCALED)
    await cluster.pass(0)
    expect(cluster.replicas()).toBe(2)
    busyWorkers(cluster)
    await cluster.pass()
    await cluster.pass()
    expect(cluster.replicas()).toBe(2)
    expect(cluster.scaled).toEqual([])
    return cluster
  }

  it('applies the number of workers in the pass that decides it, and records it once', async () => {
    const cluster = await beforeTheDecision()
    const requeueAfterMs = await cluster.pass()
    expect(cluster.replicas()).toBe(8)
    expect(cluster.scaled).toEqual(['2 → 8'])
    expect(cluster.scaledEvents()).toEqual([expect.stringMatching(/^Scaled: 2 → 8 workers: more workers are needed/)])
    expect(cluster.status().lastScale).toMatchObject({ from: 2, to: 8 })
    expect(cluster.status().workers.desired).toBe(8)
    expect(requeueAfterMs).toBeLessThanOrEqual(5000)
    const { length } = cluster.appliedReplicas
    for (let i = 0; i < 3; i++) await cluster.pass()
    expect(cluster.scaled).toEqual(['2 → 8'])
    expect(cluster.appliedReplicas).toHaveLength(length)
  })

  it('does not scale while the Deployment is refused, and scales once it can be applied', async () => {
    const cluster = await beforeTheDecision()
    cluster.refused.add('Deployment')
    for (let i = 0; i < 3; i++) await cluster.pass()
    expect({ scaled: cluster.scaled, events: cluster.scaledEvents() }).toEqual({ scaled: [], events: [] })
    expect(cluster.status().lastScale).toBeUndefined()
    expect(cluster.status().workers.desired).toBe(2)
    expect(cluster.status().conditions[0]).toMatchObject({ type: 'Ready', reason: 'ApplyRejected' })
    cluster.refused.clear()
    for (let i = 0; i < 3; i++) await cluster.pass()
    expect(cluster.scaled).toEqual(['2 → 8'])
    expect(cluster.replicas()).toBe(8)
  })

  it('reverts the number of workers when an object after the Deployment is refused', async () => {
    const cluster = await beforeTheDecision()
    cluster.objects.delete('PodMonitor default/sales-processor')
    cluster.refused.add('PodMonitor')
    for (let i = 0; i < 3; i++) await cluster.pass()
    expect(cluster.scaled).toEqual([])
    expect(cluster.replicas()).toBe(2)
  })

  it('keeps a paused pipeline at zero workers and reports it as paused', async () => {
    const cluster = rig({ 'spec.workers': { replicas: 0 } })
    await cluster.pass(0)
    expect(await cluster.pass()).toBeUndefined()
    expect(cluster.replicas()).toBe(0)
    expect(cluster.appliedReplicas).toEqual([0])
    expect(cluster.status().workers.desired).toBe(0)
    expect(cluster.status().conditions[0]).toMatchObject({ type: 'Ready', status: 'False', reason: 'Paused' })
  })

  it('names the quota that refuses pods instead of workers that start for ever', async () => {
    const cluster = rig({})
    await cluster.pass(0)
    expect(cluster.status().conditions[0]).toMatchObject({ reason: 'WorkersStarting' })
    const message = 'pods "sales-processor-1-x" is forbidden: exceeded quota: compute, requested: pods=1'
    const failure = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }
    cluster.objects.get(DEPLOYMENT)!.status = { conditions: [failure] }
    await cluster.pass()
    const shown = ['Ready', 'WorkersReady'].map(name => cluster.status().conditions.find(({ type }) => type === name))
    for (const condition of shown)
      expect(condition).toMatchObject({
        status: 'False',
        reason: 'PodsRefused',
        message: expect.stringContaining('Raise ResourceQuota compute'),
      })
  })

  it('counts a change as in force only once workers with its pod template have claimed every partition', async () => {
    const cluster = rig({})
    const templates = new Map<string, Record<string, string>>()
    const start = (name: string) => {
      const { template } = cluster.objects.get(DEPLOYMENT)!.spec as {
        template: { metadata: { annotations: Record<string, string> } }
      }
      templates.set(name, template.metadata.annotations)
      const status = { phase: 'Running', podIP: name, conditions: [{ type: 'Ready', status: 'True' }] }
      const metadata = { name, namespace: 'default', uid: name, annotations: template.metadata.annotations }
      cluster.pods.splice(0, 1, { apiVersion: 'v1', kind: 'Pod', metadata, status })
    }
    const proof = { partitions: [0, 1], sinks: ['postgres'] }
    vi.stubGlobal('fetch', async (url: string) =>
      Response.json(idleReport(new URL(url).hostname, cluster.now(), { proof, topicPartitions: 2 })),
    )
    const shown = () => cluster.status().conditions[0]
    await cluster.pass(0)
    expect(shown()).toMatchObject({ status: 'False', reason: 'WorkersStarting' })
    start('w-0')
    await cluster.pass()
    expect(shown()).toMatchObject({ status: 'True', reason: 'Streaming', observedGeneration: 1 })

    // The first pass after a change sees the pod of the earlier template, whose worker reports that all is well.
    Object.assign(cluster.pipeline.spec as object, { allowedLateness: '9s' })
    cluster.pipeline.metadata.generation = 2
    await cluster.pass()
    expect(shown()).toMatchObject({ status: 'Unknown', reason: 'RollingOut', observedGeneration: 2 })
    expect((cluster.pipeline.status as Status).conditions[0]).toMatchObject({ observedGeneration: 2 })
    start('w-1')
    expect(templates.get('w-0')).not.toEqual(templates.get('w-1'))
    await cluster.pass()
    expect(shown()).toMatchObject({ status: 'True', observedGeneration: 2 })

    Object.assign(cluster.pipeline.spec as object, { workers: { replicas: 3 } })
    cluster.pipeline.metadata.generation = 3
    await cluster.pass()
    expect(shown()).toMatchObject({ status: 'True', observedGeneration: 3 })
  })

  it('looks at a rollout again when its deadline is due, although nothing happens', async () => {
    const cluster = rig({})
    expect(await cluster.pass(0)).toBe(600_000)
    await cluster.pass(600_000)
    const stalled = cluster.status().conditions.find(({ type }) => type === 'Stalled')
    expect(stalled).toMatchObject({ status: 'True', reason: 'ProgressDeadlineExceeded' })
  })

  it('applies nothing of a spec with settings of pods that are not permitted, and all of it once they are', async () => {
    const cluster = rig({
      'spec.workers': { replicas: 3 },
      'spec.pods': {
        serviceAccountName: 'shop-kafka',
        imagePullSecrets: [{ name: 'registry' }],
        env: [{ name: 'JDBC_KEY', valueSecretRef: { name: 'prod', key: 'key' } }],
      },
    })
    const refusals = async () => {
      await cluster.pass()
      return cluster.status().conditions.filter(({ reason }) => reason === 'PodSettingRefused')
    }
    const shown = (await refusals()).map(({ type, status }) => `${type} ${status}`)
    expect(shown).toEqual(['Ready False', 'Accepted False', 'Stalled True'])
    cluster.secretLabels.set('default/prod', {})
    cluster.secretLabels.set('other/prod', { 'salespipeline.dev/env': 'true' })
    expect((await refusals())[0]!.message).toContain(
      'Secret prod does not have the label salespipeline.dev/env: "true"',
    )
    expect(cluster.objects.size).toBe(0)
    cluster.secretLabels.set('default/prod', { 'salespipeline.dev/env': 'true' })
    expect(await refusals()).toEqual([])
    expect(cluster.replicas()).toBe(3)
    const pod = podOf(cluster.objects.get(DEPLOYMENT)!)
    expect(pod.serviceAccountName).toBe('shop-kafka')
    expect(JSON.stringify(pod)).toContain(
      '{"name":"JDBC_KEY","valueFrom":{"secretKeyRef":{"name":"prod","key":"key"}}}',
    )
    // The label is removed: pods that run stay, and nothing else of the spec is applied.
    cluster.secretLabels.set('default/prod', {})
    cluster.pipeline.spec = { ...(cluster.pipeline.spec as object), workers: { replicas: 5 } }
    expect(await refusals()).toHaveLength(3)
    expect(cluster.replicas()).toBe(3)
  })

  it('shows a Secret that the ingest lacks as Notice, because results still reach every sink', async () => {
    const cluster = rig({})
    const lastState = {
      terminated: { exitCode: 1, message: 'cannot read /etc/ingest/tokens/tokens (ENOENT: no such file)' },
    }
    const container = { name: 'ingest', image: '', ready: false, restartCount: 2, state: { running: {} }, lastState }
    const volumes = [{ name: 'tokens', secret: { secretName: 'clients', items: [{ key: 'tokens' }] } }]
    const volumeMounts = [{ name: 'tokens', mountPath: '/etc/ingest/tokens' }]
    cluster.producers.set('ingest', [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'i-0', namespace: 'default' },
        spec: { containers: [{ name: 'ingest', volumeMounts }], volumes },
        status: { containerStatuses: [container] },
      },
    ])
    await cluster.pass()
    const notice = cluster.status().conditions.find(({ type }) => type === 'Notice')!
    expect(notice).toMatchObject({ status: 'True', reason: 'SecretMissing' })
    expect(notice.message).toContain('pod i-0, container ingest: Secret clients does not exist in namespace default')
    expect(cluster.status().conditions.find(({ type }) => type === 'Ready')!.reason).not.toBe('SecretMissing')
  })

  it('reports a field of spec.pods that the API server does not know', async () => {
    const cluster = rig({ 'spec.pods': { affinity: { nodeAfinity: {} } } })
    await cluster.pass()
    const { reason, message } = cluster.status().conditions[0]!
    expect([reason, message]).toEqual(['ApplyRejected', UNKNOWN_FIELD])
  })
})
