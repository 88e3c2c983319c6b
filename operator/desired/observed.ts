/** What the desired objects of a pipeline are derived from. */
import type { Spec } from '#pipeline/schema.ts'

/** The pipeline resource, as far as its children refer to it. */
export type Owner = { apiVersion: string; kind: string; namespace: string; name: string; uid: string }

/** Of the operator, the same for all pipelines. */
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
  /** Where the operator's own pods are, which ask the workers how they do. */
  namespace: string
}

export type Observed = {
  owner: Owner
  /** Of the resource, as the API server has it. */
  document: object
  /** The same, checked and with plain units. */
  spec: Spec
  settings: OperatorSettings
  /** Workers that shall run. */
  replicas: number
  /** Which kinds of other operators the cluster has. */
  has: { podMonitor: boolean; kafkaTopic: boolean }
  /** Secret's name → a mark that changes with its content; null: there is none. */
  secrets: Map<string, string | null>
}
