/**
 * The objects that must exist for a pipeline, as a pure function of the resource and of what was observed. Golden files
 * show them (test/operator/golden); operator/apply.ts applies them.
 */
import type { Spec } from '#pipeline/schema.ts'
import type { KubeObject } from '../kube/resources.ts'
import { configMap } from './config.ts'
import { accountName, metadata } from './names.ts'
import { networkPolicies } from './network.ts'
import { processor } from './processor.ts'
import { ingest, load } from './producers.ts'
import { kafkaTopic } from './topic.ts'

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

/** All child objects in the order of creation. The same input gives the same output. */
export function desired(observed: Observed): KubeObject[] {
  const { owner, document, spec, has } = observed
  return [
    serviceAccount(owner),
    configMap(owner, document),
    ...(spec.source.strimzi && has.kafkaTopic ? [kafkaTopic(owner, spec)] : []),
    ...networkPolicies(observed),
    ...processor(observed),
    ...load(observed),
    ...ingest(observed),
  ]
}

/** The workloads need no access to the API server. */
function serviceAccount(owner: Owner): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(owner, accountName(owner)),
    automountServiceAccountToken: false,
  }
}
