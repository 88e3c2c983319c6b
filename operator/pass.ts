/** The state of one pass over a pipeline. Each step returns a new value with its additions; none changes an earlier one. */
import { checkPipeline, SpecError } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Owner } from './desired/observed.ts'
import { type KubeObject, keyOf } from './kube/resources.ts'
import type { Observation } from './observe/observer.ts'
import type { Trouble } from './observe/pods.ts'
import type { ScalingDecision } from './scaling/autoscaler.ts'
import type { TopicUse } from './topics/use.ts'

export type Pass = {
  readonly key: string
  readonly resource: KubeObject
  readonly owner: Owner
  /** null when the spec is invalid. */
  readonly spec: Spec | null
  /** Why the spec is invalid; empty when it is valid. */
  readonly specFaults: string
  readonly signal: AbortSignal
}

export type ObservedPass = Pass & {
  readonly observation: Observation
  /** Replicas of the Deployment as the cluster has it; undefined when there is no Deployment yet. */
  readonly running: number | undefined
  readonly topic: TopicUse
}

export type DecidedPass = ObservedPass & {
  /** The mark of pods that run this spec; undefined while it is not applied. */
  readonly template?: string | undefined
  /** `decision.workers` is what the Deployment asks for, and what the status reports as desired. */
  readonly decision: ScalingDecision
  /** The problem that keeps the spec from taking effect, whatever the pods do. */
  readonly obstacle: Trouble | null
}

export function beginPass(resource: KubeObject, signal: AbortSignal): Pass {
  return { key: keyOf(resource), resource, owner: ownerReferenceOf(resource), ...checkedSpec(resource), signal }
}

function checkedSpec({ apiVersion, kind, metadata, spec }: KubeObject): Pick<Pass, 'spec' | 'specFaults'> {
  const { name, namespace } = metadata
  try {
    const document = { apiVersion, kind, metadata: { name, namespace }, spec }
    const checked = checkPipeline(document, `${namespace}/${name}`, { admitted: true })
    return { spec: checked.spec, specFaults: '' }
  } catch (error) {
    if (error instanceof SpecError) return { spec: null, specFaults: error.faults.join('\n') }
    throw error
  }
}

function ownerReferenceOf({ apiVersion, kind, metadata }: KubeObject): Owner {
  const { name, creationTimestamp } = metadata
  const createdAt = creationTimestamp === undefined ? {} : { createdAt: creationTimestamp }
  return { apiVersion, kind, namespace: metadata.namespace!, name, uid: metadata.uid!, ...createdAt }
}
