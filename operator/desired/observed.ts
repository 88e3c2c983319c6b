/** The input from which the desired objects of a pipeline are derived. */
import type { RemovalKeys } from '#pipeline/removal-tokens.ts'
import type { Spec } from '#pipeline/schema.ts'

/** The pipeline resource, as far as its children refer to it. */
export type Owner = {
  apiVersion: string
  kind: string
  namespace: string
  name: string
  uid: string
  /** As in its metadata; omitted for a pipeline that is not stored yet. */
  createdAt?: string
}

/** Images of the workloads, the same for all pipelines. */
export type Images = {
  processor: string
  producer: string
  pullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  pullSecrets: string[]
}
/** Names that `spec.pods` may use; a pattern that ends with * allows all that begin like it. */
export type Allowed = {
  serviceAccounts: string[]
  imagePullSecrets: string[]
  env: string[]
  /** Whether variables may come from Secrets that carry the label. Only then the operator may read what Secrets there are. */
  envSecrets: boolean
}
export type OperatorSettings = {
  images: Images
  /** Standard OTEL_* variables for all workloads. */
  telemetry: Record<string, string>
  /** Namespace of the operator's own pods, which fetch the workers' status. */
  namespace: string
  /** Namespaces in which pipelines of all namespaces may use KafkaTopics; * is every namespace. */
  topicNamespaces: string[]
  allowed: Allowed
}

export type Observed = {
  owner: Owner
  /** The spec as the API server stores it. */
  document: object
  /** The same spec, checked and with plain units. */
  spec: Spec
  settings: OperatorSettings
  /** Desired number of workers. */
  replicas: number
  /** Kinds of other operators: whether the cluster serves PodMonitors, and whether the pipeline needs a KafkaTopic of its own. */
  has: { podMonitor: boolean; kafkaTopic: boolean }
  removalKeys: RemovalKeys
}
