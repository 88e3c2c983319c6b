/** The KafkaTopic of a pipeline: which one it uses, and what becomes of it when the pipeline is deleted. */
import type { Caches } from '../caches.ts'
import { keyOfOwner, selectorText } from '../desired/names.ts'
import type { Owner } from '../desired/observed.ts'
import { KAFKA_TOPIC, type KubeObject, keyOf } from '../kube/resources.ts'
import { type GrantsDeps, TopicGrants } from './grants.ts'
import { describedBy, isTopicOf, STRIMZI_CLUSTER, type TopicTarget, targetOf } from './target.ts'
import { foreignTopic, NO_TOPIC, refusalOf, type TopicUse, topicUse, unwatched } from './use.ts'

export type TopicsDeps = GrantsDeps & { caches: Caches }

/** `waitsFor`: the KafkaTopic that is being deleted. `kept`: those that stay, each with the reason. */
export type TopicRemoval = { waitsFor: KubeObject | null; kept: string[] }

export class Topics {
  readonly #deps: TopicsDeps
  readonly #grants: TopicGrants

  constructor(deps: TopicsDeps) {
    this.#deps = deps
    this.#grants = new TopicGrants(deps)
  }

  async use(owner: Owner, spec: unknown, signal: AbortSignal): Promise<TopicUse> {
    const { caches } = this.#deps
    const target = targetOf(owner.namespace, spec)
    if (!target || !caches.serves(KAFKA_TOPIC)) return NO_TOPIC
    if (!caches.watches(target.namespace)) return { ...NO_TOPIC, refusal: unwatched(target.namespace) }
    if (!(await this.#grants.allow(owner, target.namespace, signal)))
      return { ...NO_TOPIC, refusal: refusalOf(owner, target.namespace) }
    const cached = topicUse(owner, caches.topicsFor(target))
    return cached.existing ? cached : topicUse(owner, await this.#listed(target, signal))
  }

  /**
   * Asks the API server before a KafkaTopic is created: somebody who applies a KafkaTopic and a SalesPipeline together creates
   * one right before the other, and the caches may lag behind. Strimzi would refuse the second KafkaTopic of a topic.
   */
  async #listed(target: TopicTarget, signal: AbortSignal): Promise<KubeObject[]> {
    const { namespace, cluster } = target
    const options = { namespace, labelSelector: selectorText({ [STRIMZI_CLUSTER]: cluster }), signal }
    const { items } = await this.#deps.client.list(KAFKA_TOPIC, options)
    return items.filter(topic => isTopicOf(topic, target))
  }

  /** Deletes the KafkaTopics that this pipeline created, unless their namespace forbids it or another pipeline reads the topic. */
  async remove(owner: Owner, spec: unknown, signal: AbortSignal): Promise<TopicRemoval> {
    const { caches, client } = this.#deps
    const foreign = foreignTopic(await this.use(owner, spec, signal))
    const kept = foreign ? [foreign] : []
    let waitsFor: KubeObject | null = null
    for (const topic of caches.childrenOf(owner).filter(({ kind }) => kind === KAFKA_TOPIC.kind)) {
      const reason = await this.#reasonToKeep(topic, owner, signal)
      if (reason) {
        kept.push(`KafkaTopic ${keyOf(topic)} stays: ${reason}`)
        continue
      }
      if (!topic.metadata.deletionTimestamp) await client.delete(KAFKA_TOPIC, topic.metadata, signal)
      waitsFor = topic
    }
    return { waitsFor, kept }
  }

  async #reasonToKeep(topic: KubeObject, owner: Owner, signal: AbortSignal): Promise<string | null> {
    const { namespace } = topic.metadata
    if (!(await this.#grants.allow(owner, namespace!, signal)))
      return `namespace ${namespace} does not allow KafkaTopics for pipelines of namespace ${owner.namespace}`
    const reader = this.#readerOf(topic, owner)
    return reader ? `SalesPipeline ${reader} reads its topic` : null
  }

  /** Another pipeline that would lose its records. */
  #readerOf(topic: KubeObject, owner: Owner): string | undefined {
    const target = describedBy(topic)
    const readers = target ? this.#deps.caches.readersOf(target) : []
    const others = readers.filter(reader => !reader.metadata.deletionTimestamp).map(keyOf)
    return others.find(key => key !== keyOfOwner(owner))
  }
}
