/** A cluster in memory whose caches show every write at once, unless a test says otherwise. Pods do not exist in it, and nothing collects garbage. */
import { Applier } from '#operator/apply.ts'
import type { Caches } from '#operator/caches.ts'
import { isOurs } from '#operator/desired/names.ts'
import type { Owner } from '#operator/desired/observed.ts'
import { Events } from '#operator/events.ts'
import { type KubeClient, KubeError } from '#operator/kube/client.ts'
import { KAFKA_TOPIC, type KubeObject, keyOf, type Metadata, type Resource } from '#operator/kube/resources.ts'
import { Reconciler } from '#operator/reconcile.ts'
import type { Condition, Status } from '#operator/status/input.ts'
import { isTopicOf, keyOfTarget, type TopicTarget, targetOf } from '#operator/topics/target.ts'
import { documentWith } from '../pipeline/documents.ts'

const SETTINGS = {
  images: { processor: 'p', producer: 'q', pullPolicy: 'IfNotPresent' as const, pullSecrets: [] },
  telemetry: {},
  namespace: 'system',
  allowed: { serviceAccounts: [], imagePullSecrets: [], env: [], envSecrets: false },
}
const { signal } = new AbortController()

type KubeNamespace = { annotations?: Record<string, string>; deletionTimestamp?: string }

export class FakeCluster {
  /** `Kind namespace/name` → object. */
  readonly objects = new Map<string, KubeObject>()
  /** `namespace reason: message` */
  readonly events: string[] = []
  readonly log: string[] = []
  /** Paths of the requests that changed something, such as `apply Deployment shop/x`. */
  readonly writes: string[] = []
  readonly namespaces = new Map<string, KubeNamespace>()
  readonly pipelines = new Map<string, KubeObject>()
  readonly pods: KubeObject[] = []
  /** Namespaces that the operator may not read. */
  readonly unreadable = new Set<string>()
  /** Namespaces that the operator does not serve. */
  readonly unwatched = new Set<string>()
  now = Date.parse('2026-01-01T00:00:00Z')
  namespaceReads = 0
  /** Changes of pipelines that the API server refuses from now on. */
  conflicts = 0
  /** Keys of objects that the caches do not know yet. */
  readonly unseen = new Set<string>()
  readonly #reconciler: Reconciler

  constructor(topicNamespaces: string[] = []) {
    const client = this.#client()
    const clock = { now: () => this.now, sleep: async () => {} }
    this.#reconciler = new Reconciler({
      client,
      caches: this.#caches(),
      applier: new Applier(client, () => {}),
      events: new Events(client, clock, (_level, message) => void this.log.push(message)),
      clock,
      settings: { ...SETTINGS, topicNamespaces },
      removals: { keys: { subject: 'operator', keys: [] }, token: async () => 'a.b.c' },
      onStatus: () => {},
      onRefused: () => {},
      onScaled: () => {},
      onExpelled: () => {},
    })
  }

  /** Creates a pipeline, and returns its key. */
  create(namespace: string, name: string, changes: Record<string, unknown>, more: Partial<Metadata> = {}): string {
    const key = `${namespace}/${name}`
    const { metadata, ...document } = documentWith(changes) as KubeObject
    const creationTimestamp = new Date(this.now).toISOString().replace('.000', '')
    this.pipelines.set(key, {
      ...document,
      metadata: { ...metadata, namespace, name, uid: `uid-${key}`, generation: 1, creationTimestamp, ...more },
    })
    return key
  }

  put(object: KubeObject): KubeObject {
    this.objects.set(`${object.kind} ${keyOf(object)}`, object)
    return object
  }

  object = (id: string) => this.objects.get(id)

  /** Runs one pass, `ms` after the previous one. */
  pass(key: string, ms = 0): Promise<number | undefined> {
    this.now += ms
    return this.#reconciler.reconcile(key, signal)
  }

  /** Deletes as the API server does: an object with finalizers waits for them. */
  delete(key: string): void {
    const pipeline = this.pipelines.get(key)!
    if (!pipeline.metadata.finalizers?.length) this.pipelines.delete(key)
    pipeline.metadata.deletionTimestamp ??= new Date(this.now).toISOString()
  }

  condition(key: string, type: string): Condition | undefined {
    const { conditions = [] } = (this.pipelines.get(key)?.status ?? {}) as Partial<Status>
    return conditions.find(condition => condition.type === type)
  }

  #client(): KubeClient {
    return {
      find: async ({ kind }: Resource, namespace: string, name: string) =>
        kind === 'Namespace' ? this.#namespace(name) : (this.objects.get(`${kind} ${namespace}/${name}`) ?? null),
      list: async (
        { kind }: Resource,
        { namespace, labelSelector = '' }: { namespace: string; labelSelector?: string },
      ) => ({
        items: [...this.objects.values()].filter(
          ({ kind: other, metadata }) =>
            other === kind && metadata.namespace === namespace && hasLabels(metadata, labelSelector),
        ),
      }),
      apply: async (object: KubeObject) => {
        this.writes.push(`apply ${object.kind} ${keyOf(object)}`)
        this.#refuseInDeletedNamespace(object)
        const existing = this.objects.get(`${object.kind} ${keyOf(object)}`)
        const resourceVersion = String(this.writes.length)
        return this.put({
          ...existing,
          ...object,
          metadata: { ...existing?.metadata, ...object.metadata, resourceVersion },
        })
      },
      applyStatus: async (object: KubeObject) => void (this.pipelines.get(keyOf(object))!.status = object.status),
      create: async (_resource: Resource, event: KubeObject) => {
        this.#refuseInDeletedNamespace(event)
        this.events.push(`${event.metadata.namespace} ${event.reason}: ${event.message}`)
      },
      delete: async ({ kind }: Resource, metadata: Metadata) => {
        this.writes.push(`delete ${kind} ${keyOf({ metadata })}`)
        this.objects.delete(`${kind} ${keyOf({ metadata })}`)
      },
      mergePatch: async (_resource: Resource, metadata: Metadata, patch: { metadata: Partial<Metadata> }) => {
        if (this.conflicts-- > 0) throw new KubeError(409, 'Conflict', 'conflict')
        const pipeline = this.pipelines.get(keyOf({ metadata }))!
        Object.assign(pipeline.metadata, { finalizers: patch.metadata.finalizers })
        if (pipeline.metadata.deletionTimestamp) this.delete(keyOf({ metadata }))
      },
    } as unknown as KubeClient
  }

  #namespace(name: string): KubeObject | null {
    this.namespaceReads++
    if (this.unreadable.has(name)) throw new KubeError(403, 'Forbidden', 'namespaces is forbidden')
    const metadata = this.namespaces.get(name)
    return metadata ? { apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } } : null
  }

  #refuseInDeletedNamespace({ metadata }: KubeObject): void {
    if (this.namespaces.get(metadata.namespace!)?.deletionTimestamp)
      throw new KubeError(403, 'Forbidden', 'unable to create new content because the namespace is being terminated')
  }

  #caches(): Caches {
    return {
      pipelines: this.pipelines,
      serves: () => true,
      child: ({ kind }: Resource, key: string) => this.objects.get(`${kind} ${key}`),
      childrenOf: (owner: Owner) => [...this.objects.values()].filter(object => isOurs(object, owner)),
      watches: (namespace: string) => !this.unwatched.has(namespace),
      topicsFor: (target: TopicTarget) =>
        [...this.objects.values()].filter(
          object => object.kind === KAFKA_TOPIC.kind && isTopicOf(object, target) && !this.unseen.has(keyOf(object)),
        ),
      readersOf: (target: TopicTarget) =>
        [...this.pipelines.values()].filter(({ metadata, spec }) =>
          isSame(targetOf(metadata.namespace!, spec), target),
        ),
      podsOf: () => this.pods,
    } as unknown as Caches
  }
}

const isSame = (topic: TopicTarget | null, target: TopicTarget) =>
  topic !== null && keyOfTarget(topic) === keyOfTarget(target)

const hasLabels = ({ labels = {} }: Metadata, selector: string) =>
  selector.split(',').every(part => labels[part.split('=')[0]!] === part.split('=')[1])

/** A KafkaTopic that this operator did not create. */
export function foreignTopic(namespace: string, name: string, topicName: string, more: Partial<KubeObject> = {}) {
  const labels = { 'strimzi.io/cluster': 'main' }
  const metadata = { namespace, name, labels, creationTimestamp: '2025-01-01T00:00:00Z' }
  return { apiVersion: KAFKA_TOPIC.apiVersion, kind: KAFKA_TOPIC.kind, metadata, spec: { topicName }, ...more }
}
