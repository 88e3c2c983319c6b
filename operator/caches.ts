/** The operator's caches of the cluster's objects; every change enqueues the pipelines that it concerns. */

import { CHILD_SELECTOR, COMPONENT, type Component, isOurs, PIPELINE } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import type { KubeClient } from './kube/client.ts'
import {
  CHILDREN,
  KAFKA_TOPIC,
  type KubeObject,
  OPTIONAL,
  POD,
  type Resource,
  SALES_PIPELINE,
  SECRET,
} from './kube/resources.ts'
import type { Chance, Clock, Log } from './ports.ts'
import { Reflector } from './runtime/reflector.ts'
import { referencedSecrets } from './secret-references.ts'
import { isFor, targetOf } from './topics/target.ts'

export type CachesOptions = {
  client: KubeClient
  clock: Clock
  chance: Chance
  log: Log
  /** Called with the key of each pipeline that a change concerns. */
  enqueue: (key: string) => void
  onRestart?: (resource: Resource, why: string) => void
  staleAfterMs?: number
}

export class Caches {
  readonly #options: CachesOptions
  readonly #reflectors = new Map<Resource, Reflector>()

  constructor(options: CachesOptions) {
    this.#options = options
  }

  /** Runs until the signal aborts; `onSynced` is called once every cache holds its first list. */
  async run(signal: AbortSignal, onSynced: () => void): Promise<void> {
    const { client } = this.#options
    const served = await Promise.all(
      CHILDREN.map(async resource =>
        !OPTIONAL.has(resource) || (await client.serves(resource, signal)) ? [resource] : [],
      ),
    )
    this.#reflect(SALES_PIPELINE, key => this.#options.enqueue(key))
    this.#reflect(SECRET, key => this.#enqueueUsersOf(key), { metadataOnly: true })
    this.#reflect(POD, (_key, object) => this.#enqueueOwnerOf(object), { labelSelector: CHILD_SELECTOR })
    for (const resource of served.flat())
      if (resource === KAFKA_TOPIC) this.#reflect(resource, (_key, topic) => this.#enqueueReadersOf(topic))
      else this.#reflect(resource, (_key, object) => this.#enqueueOwnerOf(object), { labelSelector: CHILD_SELECTOR })
    const all = [...this.#reflectors.values()]
    const running = all.map(reflector => reflector.run(signal))
    void Promise.all(all.map(({ synced }) => synced)).then(onSynced)
    await Promise.all(running)
  }

  get pipelines(): ReadonlyMap<string, KubeObject> {
    return this.#reflectors.get(SALES_PIPELINE)!.objects
  }

  /** ms since the epoch: the oldest last contact of any cache with the API server. */
  get lastContactAt(): number {
    return Math.min(...[...this.#reflectors.values()].map(({ lastContactAt }) => lastContactAt))
  }

  serves(resource: Resource): boolean {
    return this.#reflectors.has(resource)
  }

  child(resource: Resource, key: string): KubeObject | undefined {
    return this.#reflectors.get(resource)?.objects.get(key)
  }

  childrenOf(owner: Owner): KubeObject[] {
    return CHILDREN.flatMap(resource => [...(this.#reflectors.get(resource)?.objects.values() ?? [])]).filter(object =>
      isOurs(object, owner),
    )
  }

  /** KafkaTopics of all owners: a pipeline may use one that it did not create. */
  topics(): Iterable<KubeObject> {
    return this.#reflectors.get(KAFKA_TOPIC)?.objects.values() ?? []
  }

  podsOf({ namespace, name }: Owner, component?: Component): KubeObject[] {
    const pods = [...this.#reflectors.get(POD)!.objects.values()]
    return pods.filter(({ metadata: { labels = {}, ...metadata } }) => {
      const isOfPipeline = metadata.namespace === namespace && labels['app.kubernetes.io/instance'] === name
      return isOfPipeline && (component === undefined || labels[COMPONENT] === component)
    })
  }

  /** The content of Secrets is never read. */
  hasSecret(key: string): boolean {
    return this.#reflectors.get(SECRET)!.objects.has(key)
  }

  /** Undefined when the Secret does not exist. */
  secretLabels(key: string): Record<string, string> | undefined {
    const metadata = this.#reflectors.get(SECRET)!.objects.get(key)?.metadata
    return metadata && (metadata.labels ?? {})
  }

  #reflect(
    resource: Resource,
    onChange: (key: string, object: KubeObject) => void,
    more: { labelSelector?: string; metadataOnly?: boolean } = {},
  ): void {
    const { enqueue: _enqueue, onRestart, ...shared } = this.#options
    const reflector = new Reflector({
      ...shared,
      ...more,
      resource,
      onChange: (key, before, after) => onChange(key, (after ?? before)!),
      onRestart: why => onRestart?.(resource, why),
    })
    this.#reflectors.set(resource, reflector)
  }

  /** The pipeline is named by the annotation, the owner reference, or the labels of a pod. */
  #enqueueOwnerOf({ metadata }: KubeObject): void {
    const { namespace, ownerReferences = [], annotations = {}, labels = {} } = metadata
    const owner = ownerReferences.find(({ kind }) => kind === SALES_PIPELINE.kind)
    const name = owner?.name ?? labels['app.kubernetes.io/instance']
    const key = annotations[PIPELINE] ?? (name === undefined ? undefined : `${namespace}/${name}`)
    if (key !== undefined) this.#options.enqueue(key)
  }

  /** The pipeline that created the KafkaTopic, and those that read its topic. */
  #enqueueReadersOf(topic: KubeObject): void {
    const creator = topic.metadata.annotations?.[PIPELINE]
    if (creator !== undefined) this.#options.enqueue(creator)
    for (const [key, { metadata, spec }] of this.pipelines) {
      const target = targetOf(metadata.namespace!, spec)
      if (key !== creator && target && isFor(topic, target)) this.#options.enqueue(key)
    }
  }

  /** Pipelines with an invalid spec as well: whether a spec is valid is decided in a pass, not here. */
  #enqueueUsersOf(secret: string): void {
    const [namespace, name] = secret.split('/') as [string, string]
    for (const [key, { metadata, spec }] of this.pipelines)
      if (metadata.namespace === namespace && referencedSecrets(spec).has(name)) this.#options.enqueue(key)
  }
}
