/** The operator's caches of the cluster's objects; every change enqueues the pipelines that it concerns. */

import { CHILD_SELECTOR, COMPONENT, type Component, INSTANCE, isOurs, keyOfOwner, PIPELINE } from './desired/names.ts'
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
import { Reflector, type ReflectorOptions } from './runtime/reflector.ts'
import { envSecretsOf } from './secret-references.ts'
import { describedBy, keyOfTarget, type TopicTarget, targetOf } from './topics/target.ts'

export type CachesOptions = {
  client: KubeClient
  clock: Clock
  chance: Chance
  log: Log
  /** Empty: all namespaces. */
  namespaces: string[]
  /** Whether to list the metadata of Secrets. */
  secrets: boolean
  /** Called with the key of each pipeline that a change concerns. */
  enqueue: (key: string) => void
  onRestart?: (resource: Resource, why: string) => void
  staleAfterMs?: number
}

type Watched = Pick<ReflectorOptions, 'onChange' | 'groupsOf' | 'labelSelector' | 'metadataOnly'>

/** How often we look whether the cluster serves a kind of another operator by now, ms. */
const LOOK_AGAIN_MS = 60_000
/** The key of a reflector that caches all namespaces. */
const EVERY = ''

export class Caches {
  readonly #options: CachesOptions
  /** By namespace. */
  readonly #reflectors = new Map<Resource, Map<string, Reflector>>()

  constructor(options: CachesOptions) {
    this.#options = options
  }

  /** Runs until the signal aborts; `onSynced` is called once every cache holds its first list. */
  async run(signal: AbortSignal, onSynced: () => void): Promise<void> {
    const optional = [...OPTIONAL]
    const areServed = await Promise.all(optional.map(resource => this.#options.client.serves(resource, signal)))
    const later = optional.filter((_, i) => !areServed[i])
    const now = [SALES_PIPELINE, POD, ...CHILDREN, ...(this.#options.secrets ? [SECRET] : [])]
    const started = now.filter(resource => !later.includes(resource)).map(resource => this.#start(resource, signal))
    for (const { resource, reflectors } of started) this.#reflectors.set(resource, reflectors)
    const all = started.flatMap(({ reflectors }) => [...reflectors.values()])
    void Promise.all(all.map(({ synced }) => synced)).then(onSynced)
    await Promise.all([...started.map(({ ended }) => ended), ...later.map(kind => this.#startOnceServed(kind, signal))])
  }

  /** Pipelines that wait for the kind are enqueued once it is cached. */
  async #startOnceServed(resource: Resource, signal: AbortSignal): Promise<void> {
    const { client, clock, log, enqueue } = this.#options
    do await clock.sleep(LOOK_AGAIN_MS, signal)
    while (!signal.aborted && !(await client.serves(resource, signal).catch(() => false)))
    if (signal.aborted) return
    const { reflectors, ended } = this.#start(resource, signal)
    await Promise.race([ended, Promise.all([...reflectors.values()].map(({ synced }) => synced))])
    this.#reflectors.set(resource, reflectors)
    log('info', 'the cluster serves another kind now', { kind: resource.kind })
    for (const key of this.pipelines.keys()) enqueue(key)
    await ended
  }

  get pipelines() {
    const reflectors = () => this.#of(SALES_PIPELINE).map(({ objects }) => objects)
    return {
      get: (key: string): KubeObject | undefined => this.child(SALES_PIPELINE, key),
      keys: (): string[] => reflectors().flatMap(objects => [...objects.keys()]),
      get size() {
        return reflectors().reduce((sum, { size }) => sum + size, 0)
      },
    }
  }

  /** ms since the epoch: the oldest last contact of any cache with the API server. */
  get lastContactAt(): number {
    return Math.min(...this.#all.map(({ lastContactAt }) => lastContactAt))
  }

  /** Why caches do not follow the cluster, without repetition. */
  get faults(): string[] {
    return [...new Set(this.#all.flatMap(({ fault }) => fault ?? []))]
  }

  serves(resource: Resource): boolean {
    return this.#reflectors.has(resource)
  }

  /** False if the operator sees nothing in this namespace. */
  watches(namespace: string): boolean {
    const { namespaces } = this.#options
    return namespaces.length === 0 || namespaces.includes(namespace)
  }

  child(resource: Resource, key: string): KubeObject | undefined {
    const reflectors = this.#reflectors.get(resource)
    const [namespace] = key.split('/') as [string]
    return (reflectors?.get(EVERY) ?? reflectors?.get(namespace))?.objects.get(key)
  }

  childrenOf(owner: Owner): KubeObject[] {
    return CHILDREN.flatMap(resource => this.#group(resource, pipelineGroup(keyOfOwner(owner)))).filter(object =>
      isOurs(object, owner),
    )
  }

  /** KafkaTopics of all owners: a pipeline may use one that it did not create. */
  topicsFor(target: TopicTarget): KubeObject[] {
    return this.#group(KAFKA_TOPIC, topicGroup(target))
  }

  readersOf(target: TopicTarget): KubeObject[] {
    return this.#group(SALES_PIPELINE, topicGroup(target))
  }

  podsOf(owner: Owner, component?: Component): KubeObject[] {
    const pods = this.#group(POD, pipelineGroup(keyOfOwner(owner)))
    return pods.filter(({ metadata }) => component === undefined || metadata.labels?.[COMPONENT] === component)
  }

  /** Undefined when the Secret does not exist, or when no Secrets are listed. */
  secretLabels(key: string): Record<string, string> | undefined {
    const metadata = this.child(SECRET, key)?.metadata
    return metadata && (metadata.labels ?? {})
  }

  get #all(): Reflector[] {
    return [...this.#reflectors.keys()].flatMap(resource => this.#of(resource))
  }

  #of(resource: Resource): Reflector[] {
    return [...(this.#reflectors.get(resource)?.values() ?? [])]
  }

  #group(resource: Resource, group: string): KubeObject[] {
    return this.#of(resource).flatMap(({ objects }) => [...objects.of(group)])
  }

  #start(resource: Resource, signal: AbortSignal) {
    const { namespaces, onRestart, client, clock, chance, log, staleAfterMs } = this.#options
    const shared = { client, clock, chance, log, ...(staleAfterMs && { staleAfterMs }) }
    const names = namespaces.length > 0 ? namespaces : [EVERY]
    const options = {
      ...shared,
      resource,
      ...this.#watched(resource),
      onRestart: (why: string) => onRestart?.(resource, why),
    }
    const reflectors = new Map(names.map(namespace => [namespace, new Reflector({ ...options, namespace })]))
    const ended = Promise.all([...reflectors.values()].map(reflector => reflector.run(signal)))
    return { resource, reflectors, ended }
  }

  #watched(resource: Resource): Watched {
    if (resource === SALES_PIPELINE) return { onChange: this.#options.enqueue, groupsOf: groupsOfPipeline }
    if (resource === SECRET)
      return { onChange: key => this.#enqueueGroup(secretGroup(key)), groupsOf: () => [], metadataOnly: true }
    if (resource === KAFKA_TOPIC)
      return { onChange: (_key, topic) => this.#enqueueReadersOf(topic), groupsOf: groupsOfTopic }
    const ownersOf = resource === POD ? ownersOfPod : ownersOfChild
    const enqueueOwners = (_key: string, object: KubeObject) => {
      for (const key of ownersOf(object)) this.#options.enqueue(key)
    }
    const groupsOf = (object: KubeObject) => ownersOf(object).map(pipelineGroup)
    return { onChange: enqueueOwners, groupsOf, labelSelector: CHILD_SELECTOR }
  }

  /** The pipeline that created the KafkaTopic, and those that read its topic. */
  #enqueueReadersOf(topic: KubeObject): void {
    const creator = topic.metadata.annotations?.[PIPELINE]
    if (creator !== undefined) this.#options.enqueue(creator)
    const target = describedBy(topic)
    if (target) this.#enqueueGroup(topicGroup(target), creator)
  }

  #enqueueGroup(group: string, except?: string): void {
    const keys = this.#of(SALES_PIPELINE).flatMap(({ objects }) => [...objects.keysOf(group)])
    for (const key of keys) if (key !== except) this.#options.enqueue(key)
  }
}

const pipelineGroup = (key: string) => `SalesPipeline ${key}`
const topicGroup = (target: TopicTarget) => `topic ${keyOfTarget(target)}`
const secretGroup = (key: string) => `Secret ${key}`

/** Pipelines with an invalid spec as well: whether a spec is valid is decided in a pass, not here. */
function groupsOfPipeline({ metadata: { namespace }, spec }: KubeObject): string[] {
  const target = targetOf(namespace!, spec)
  const secrets = [...envSecretsOf(spec)].map(name => secretGroup(`${namespace}/${name}`))
  return [...(target ? [topicGroup(target)] : []), ...secrets]
}

function groupsOfTopic(topic: KubeObject): string[] {
  const target = describedBy(topic)
  const creator = topic.metadata.annotations?.[PIPELINE]
  return [...(target ? [topicGroup(target)] : []), ...(creator === undefined ? [] : [pipelineGroup(creator)])]
}

/** The key of the pipeline, which the annotation, the owner reference or the label names; empty if none does. */
function ownersOfChild(object: KubeObject): string[] {
  const { namespace, ownerReferences = [], annotations = {} } = object.metadata
  const owner = ownerReferences.find(({ kind }) => kind === SALES_PIPELINE.kind)
  const key = annotations[PIPELINE] ?? (owner && `${namespace}/${owner.name}`)
  return key === undefined ? ownersOfPod(object) : [key]
}

function ownersOfPod({ metadata: { namespace, labels = {} } }: KubeObject): string[] {
  const name = labels[INSTANCE]
  return name === undefined ? [] : [`${namespace}/${name}`]
}
