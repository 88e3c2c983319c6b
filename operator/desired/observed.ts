/** The input from which the desired objects of a pipeline are derived. */
import type { Spec } from '#pipeline/schema.ts'

/** The pipeline resource, as far as its children refer to it. */
export type Owner = { apiVersion: string; kind: string; namespace: string; name: string; uid: string }

/** Images of the workloads, the same for all pipelines. */
export type Images = {
  processor: string
  producer: string
  pullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  pullSecrets: string[]
}
export type OperatorSettings = {
  images: Images
  /** Standard OTEL_* variables for all workloads. */
  telemetry: Record<string, string>
  /** Namespace of the operator's own pods, which fetch the workers' status. */
  namespace: string
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
  /** Whether the cluster serves these kinds of other operators. */
  has: { podMonitor: boolean; kafkaTopic: boolean }
}
