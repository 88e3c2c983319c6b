/** Which KafkaTopic a pipeline uses, who owns it, and what Strimzi reports about it. Pure. */
import { isOurs, TOPICS_FROM } from '../desired/names.ts'
import type { Owner } from '../desired/observed.ts'
import { type KubeObject, keyOf } from '../kube/resources.ts'
import type { Trouble } from '../observe/pods.ts'
import type { WorkerReport } from '../observe/report.ts'

export type TopicUse = {
  /** The operator creates and updates the KafkaTopic. False if none is needed or allowed, or if the topic has another one. */
  isOurs: boolean
  /** The KafkaTopic of the topic, as the cluster has it. */
  existing: KubeObject | undefined
  /** Why the operator does not act in the namespace of the topic. */
  refusal: Trouble | null
}

export const NO_TOPIC: TopicUse = { isOurs: false, existing: undefined, refusal: null }

/** `topics`: all KafkaTopics of the topic that the pipeline reads. It has one KafkaTopic: Strimzi applies only the first. */
export function topicUse(owner: Owner, topics: KubeObject[]): TopicUse {
  const candidates = topics.toSorted(byAge)
  const ours = candidates.find(topic => isOurs(topic, owner))
  const existing = ours ?? candidates[0]
  return { isOurs: existing === ours, existing, refusal: null }
}

const ageOf = ({ metadata }: KubeObject) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
const byAge = (a: KubeObject, b: KubeObject) => (ageOf(a) < ageOf(b) ? -1 : 1)

/** The message is the same whether or not the namespace exists: it must not reveal that. */
export function refusalOf({ namespace: from }: Owner, namespace: string): Trouble {
  return {
    reason: 'TopicNamespaceRefused',
    message: `namespace ${namespace} does not allow KafkaTopics for pipelines of namespace ${from}, so the operator neither creates nor changes nor deletes one there. Its owner can allow it: add ${from} to the annotation ${TOPICS_FROM} of namespace ${namespace}. Or the administrator adds ${namespace} to the chart's operator.topicNamespaces. Or create the topic yourself and remove spec.source.strimzi`,
  }
}

/** Whether the namespace exists is not revealed here either. */
export function unwatched(namespace: string): Trouble {
  return {
    reason: 'TopicNamespaceRefused',
    message: `the operator does not watch namespace ${namespace}, so it neither creates nor changes nor deletes a KafkaTopic there. The administrator can add ${namespace} to the chart's operator.watchNamespaces. Or create the topic yourself and remove spec.source.strimzi`,
  }
}

/** For the condition Accepted: why `deletionPolicy` and `partitions` do not apply to the topic. */
export function foreignTopic({ isOurs: ours, existing }: TopicUse): string | null {
  if (!existing || ours) return null
  return `KafkaTopic ${keyOf(existing)} has another owner: it is used, but never changed or deleted`
}

/** The topic does not exist although it has a KafkaTopic: the cause is at Strimzi. Null while workers find the topic. */
export function missingTopic({ existing }: TopicUse, reports: WorkerReport[]): Trouble | null {
  if (!existing || !reports.some(({ conditions }) => 'TopicMissing' in conditions)) return null
  const ready = readyOf(existing)
  if (ready?.status === 'True') return null
  const message = ready
    ? strimziSays(existing, ready)
    : `Strimzi has reported no status for KafkaTopic ${keyOf(existing)}. Check that its Topic Operator runs and watches namespace ${existing.metadata.namespace}, and that the name in spec.source.strimzi.cluster is right`
  return { reason: 'TopicNotCreated', message }
}

/** For the condition Notice: the topic may have other settings than its KafkaTopic says. */
export function topicNotice({ existing }: TopicUse): Trouble | null {
  const ready = existing && readyOf(existing)
  return ready?.status === 'False' ? { reason: 'KafkaTopicNotReady', message: strimziSays(existing!, ready) } : null
}

type Condition = { type: string; status: string; reason?: string; message?: string }

const readyOf = ({ status }: KubeObject) =>
  ((status ?? {}) as { conditions?: Condition[] }).conditions?.find(({ type }) => type === 'Ready')

function strimziSays(topic: KubeObject, { reason = 'NotReady', message = 'no message' }: Condition): string {
  const advice =
    reason === 'ResourceConflict'
      ? '. Two KafkaTopics describe this topic. To remove one and keep the data, annotate it with strimzi.io/managed=false, then delete it'
      : ''
  return `KafkaTopic ${keyOf(topic)}: ${reason}: ${message}${advice}`
}
