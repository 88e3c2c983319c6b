/** The kinds of objects that the operator reads and writes, and their paths in the API. */

export type Metadata = {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: { manager: string; operation: string; subresource?: string }[]
}

export type OwnerReference = {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** Any object of the API as JSON. */
export type KubeObject = { apiVersion: string; kind: string; metadata: Metadata; [field: string]: unknown }

export type Resource = { apiVersion: string; kind: string; plural: string }

const resource = (apiVersion: string, kind: string, plural = `${kind.toLowerCase()}s`): Resource => ({
  apiVersion,
  kind,
  plural,
})

export const SALES_PIPELINE = resource('salespipeline.dev/v1alpha1', 'SalesPipeline')
export const POD = resource('v1', 'Pod')
export const SECRET = resource('v1', 'Secret')
export const EVENT = resource('v1', 'Event')
export const NAMESPACE = resource('v1', 'Namespace')
export const LEASE = resource('coordination.k8s.io/v1', 'Lease')
export const DEPLOYMENT = resource('apps/v1', 'Deployment')
export const REPLICA_SET = resource('apps/v1', 'ReplicaSet')
export const CONFIG_MAP = resource('v1', 'ConfigMap')
export const SERVICE = resource('v1', 'Service')
export const SERVICE_ACCOUNT = resource('v1', 'ServiceAccount')
export const POD_DISRUPTION_BUDGET = resource('policy/v1', 'PodDisruptionBudget')
export const NETWORK_POLICY = resource('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies')
export const JOB = resource('batch/v1', 'Job')
export const POD_MONITOR = resource('monitoring.coreos.com/v1', 'PodMonitor')
export const KAFKA_TOPIC = resource('kafka.strimzi.io/v1', 'KafkaTopic')

/** Kinds of a pipeline's child objects in the order of creation: what pods mount comes before the pods. */
export const CHILDREN: Resource[] = [
  SERVICE_ACCOUNT,
  CONFIG_MAP,
  KAFKA_TOPIC,
  NETWORK_POLICY,
  SERVICE,
  POD_DISRUPTION_BUDGET,
  DEPLOYMENT,
  POD_MONITOR,
  JOB,
]

/** Kinds of other operators, which not every cluster has. */
export const OPTIONAL: ReadonlySet<Resource> = new Set([POD_MONITOR, KAFKA_TOPIC])

/** `/apis/apps/v1/namespaces/shop/deployments/x`; without a name the collection, without a namespace all of them. */
export function pathOf(
  { apiVersion, plural }: Resource,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const parts = [group, ...(namespace ? ['namespaces', namespace] : []), plural, ...(name ? [name] : [])]
  return [...parts, ...(subresource ? [subresource] : [])]
    .map((part, i) => (i === 0 ? part : encodeURIComponent(part)))
    .join('/')
}

/** `namespace/name`: the key of an object in queues and caches. */
export const keyOf = ({ metadata }: Pick<KubeObject, 'metadata'>): string =>
  `${metadata.namespace ?? ''}/${metadata.name}`
