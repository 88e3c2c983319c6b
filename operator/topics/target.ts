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

/** True if the KafkaTopic describes this topic. */
export function isFor({ metadata, spec }: KubeObject, { namespace, cluster, topic }: TopicTarget): boolean {
  const { topicName = metadata.name } = (spec ?? {}) as { topicName?: string }
  return metadata.namespace === namespace && metadata.labels?.['strimzi.io/cluster'] === cluster && topicName === topic
}
