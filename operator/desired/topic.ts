/** The topic as a resource of Strimzi's topic operator, in the namespace of its Kafka cluster. */
import type { Spec } from '#pipeline/schema.ts'
import type { KubeObject } from '../kube/resources.ts'
import { STRIMZI_CLUSTER } from '../topics/target.ts'
import { CREATOR, keyOfOwner, labelsOf, PIPELINE, topicObjectName } from './names.ts'
import type { Owner } from './observed.ts'

/** Has no owner reference: it may be in another namespace, and the deletion policy may keep it. */
export function kafkaTopic(owner: Owner, { source, watermark }: Spec): KubeObject {
  const { cluster, namespace = owner.namespace, replicas } = source.strimzi!
  return {
    apiVersion: 'kafka.strimzi.io/v1',
    kind: 'KafkaTopic',
    metadata: {
      name: topicObjectName(owner),
      namespace,
      labels: { ...labelsOf(owner), [STRIMZI_CLUSTER]: cluster },
      annotations: { [PIPELINE]: keyOfOwner(owner), [CREATOR]: owner.uid },
    },
    spec: {
      topicName: source.topic,
      partitions: source.partitions,
      ...(replicas && { replicas }),
      config: {
        'cleanup.policy': 'delete',
        'message.timestamp.type': 'CreateTime',
        // The broker then rejects records that the future guard would dead-letter (contract, section 5).
        'message.timestamp.after.max.ms': watermark.maxFutureSkew,
      },
    },
  }
}
