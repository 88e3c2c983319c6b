/** Deterministic names and labels of a pipeline's child objects, and the marks by which they are recognized. */
import { KAFKA_TOPIC, type KubeObject, type Metadata, type OwnerReference } from '../kube/resources.ts'
import type { Owner } from './observed.ts'

export const MANAGED_BY = 'salespipeline-operator'
const DOMAIN = 'salespipeline.dev'
/** Annotation with a hash of everything we applied: it reveals fields that we no longer want. */
export const APPLIED = `${DOMAIN}/applied`
/** Annotation with `namespace/name` on objects that cannot have the pipeline as their owner. */
export const PIPELINE = `${DOMAIN}/pipeline`
/** Annotation of a KafkaTopic: uid of the pipeline that created it. Only this pipeline may change and delete it. */
export const CREATOR = `${DOMAIN}/pipeline-uid`
/** Annotation of a namespace: namespaces whose pipelines may use KafkaTopics in it, separated by commas; * for all. */
export const TOPICS_FROM = `${DOMAIN}/topics-from`
/** Annotation of a pod that holds its configuration file. */
export const DOCUMENT = `${DOMAIN}/document`
export const FINALIZER = `${DOMAIN}/cleanup`
export const CONFIG_HASH = `${DOMAIN}/config`
export const TEMPLATE_HASH = `${DOMAIN}/template`

export const COMPONENT = 'app.kubernetes.io/component'
/** Label with the name of the pipeline. */
export const INSTANCE = 'app.kubernetes.io/instance'

export type Component = 'processor' | 'load' | 'ingest' | 'removal'

/** All children of all pipelines. */
export const CHILD_SELECTOR = `app.kubernetes.io/managed-by=${MANAGED_BY}`

export const keyOfOwner = ({ namespace, name }: Owner) => `${namespace}/${name}`

export function labelsOf(owner: Owner, component?: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'sales-pipeline',
    [INSTANCE]: owner.name,
    'app.kubernetes.io/managed-by': MANAGED_BY,
    ...(component && { [COMPONENT]: component }),
  }
}

/** Selects the pods; it never changes, because the selector of a Deployment is immutable. */
export function selectorOf(owner: Owner, component?: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'sales-pipeline',
    [INSTANCE]: owner.name,
    ...(component && { [COMPONENT]: component }),
  }
}

export const selectorText = (labels: Record<string, string>) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')

export const processorName = ({ name }: Owner) => `${name}-processor`
export const accountName = ({ name }: Owner) => `${name}-pipeline`
export const configName = ({ name }: Owner) => `${name}-config`
/** Contains the uid: the Job of an earlier pipeline of the same name must not count as ours. */
export const removalName = ({ name, uid }: Owner) => `${name}-removal-${uid.slice(0, 8)}`
export const topicObjectName = ({ namespace, name }: Owner) => `${namespace}.${name}`
export const producerName = ({ name }: Owner, component: Component) => `${name}-${component}`

export function metadata(owner: Owner, name: string, component?: Component): Metadata {
  return {
    name,
    namespace: owner.namespace,
    labels: labelsOf(owner, component),
    ownerReferences: [ownerReference(owner)],
  }
}

function ownerReference({ apiVersion, kind, name, uid }: Owner): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/** True for objects of this pipeline. Only a KafkaTopic may be in another namespace: elsewhere anyone could forge the marks. */
export function isOurs(object: Pick<KubeObject, 'kind' | 'metadata'>, owner: Owner): boolean {
  if (object.kind === KAFKA_TOPIC.kind) return isOurTopic(object.metadata, owner)
  const { namespace, ownerReferences = [], annotations = {} } = object.metadata
  if (namespace !== owner.namespace) return false
  const controller = ownerReferences.find(reference => reference.controller)
  if (controller) return controller.uid === owner.uid
  return annotations[PIPELINE] === keyOfOwner(owner)
}

/** A KafkaTopic outlives its pipeline, so its name and key prove nothing: an earlier pipeline may have created it. */
function isOurTopic({ name, annotations = {}, creationTimestamp }: Metadata, owner: Owner): boolean {
  if (name !== topicObjectName(owner)) return false
  const creator = annotations[CREATOR]
  if (creator !== undefined) return creator === owner.uid
  return annotations[PIPELINE] === keyOfOwner(owner) && isNotOlder(creationTimestamp, owner)
}

/** Releases up to 0.3.0 marked topics only with the key. One that is as young as the pipeline was created for it. */
const isNotOlder = (creationTimestamp: string | undefined, { createdAt }: Owner) =>
  creationTimestamp !== undefined && createdAt !== undefined && creationTimestamp >= createdAt
