/** Which topic of which Kafka cluster of Strimzi a pipeline reads. Pure. */
import type { KubeObject } from '../kube/resources.ts'

export type TopicTarget = { namespace: string; cluster: string; topic: string }

type Document = { source?: { topic?: string; strimzi?: { cluster?: string; namespace?: string } } } | undefined

/** Reads the spec as it is stored, valid or not; null if it does not name a cluster of Strimzi. */
export function targetOf(namespace: string, spec: unknown): TopicTarget | null {
  const { topic, strimzi } = (spec as Document)?.source ?? {}
  if (!strimzi?.cluster || !topic) return null
  return { namespace: strimzi.namespace ?? namespace, cluster: strimzi.cluster, topic }
}

/** The label of a KafkaTopic that names its Kafka cluster. */
export const STRIMZI_CLUSTER = 'strimzi.io/cluster'

/** The topic that a KafkaTopic describes; null if it does not name a cluster. */
export function describedBy({ metadata, spec }: KubeObject): TopicTarget | null {
  const { topicName: topic = metadata.name } = (spec ?? {}) as { topicName?: string }
  const cluster = metadata.labels?.[STRIMZI_CLUSTER]
  return cluster === undefined ? null : { namespace: metadata.namespace!, cluster, topic }
}

/** No part can contain a slash. */
export const keyOfTarget = ({ namespace, cluster, topic }: TopicTarget) => `${namespace}/${cluster}/${topic}`

export function isTopicOf(topic: KubeObject, target: TopicTarget): boolean {
  const described = describedBy(topic)
  return described !== null && keyOfTarget(described) === keyOfTarget(target)
}
