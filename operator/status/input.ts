/** From what the status of a pipeline is derived, and what it consists of. */
import type { Spec } from '#pipeline/schema.ts'
import type { Figures } from '../observe/figures.ts'
import type { Trouble } from '../observe/pods.ts'
import type { WorkerReport } from '../observe/report.ts'
import type { Scaling } from '../scaling/autoscaler.ts'

export type Sink = 'postgres' | 'elasticsearch'
export type Condition = {
  type: string
  status: 'True' | 'False' | 'Unknown'
  observedGeneration: number
  lastTransitionTime: string
  reason: string
  message: string
}

export type Status = {
  observedGeneration: number
  conditions: Condition[]
  workers: { replicas: number; ready: number; desired: number; summary: string; selector: string }
  /** Sinks of the current spec that have received a result. */
  sinksReached?: Sink[]
  firstResultAt?: string
  lag?: number
  watermark?: string
  endToEndDelayP99?: string
  catchUp?: string
} & Scaling

export type StatusInput = {
  generation: number
  /** ms since the epoch. */
  now: number
  previous: Partial<Status>
  spec: Spec | null
  workers: { replicas: number; ready: number; desired: number; selector: string }
  /** The problem that keeps the spec from being applied, found before pods are examined. */
  obstacle: Trouble | null
  /** Names of the pods that run the newest spec. */
  current: ReadonlySet<string>
  /** Names of the pods that are not ready. */
  unready: string[]
  /** Problems that do not keep results from any sink. */
  notices: Trouble[]
  /** Problems of the workers' pods, in any order. */
  troubles: Trouble[]
  reports: WorkerReport[]
  figures: Figures
  scaling: Scaling
  /** The KafkaTopic: a note if it has another owner, and what Strimzi reports. */
  topic?: { foreign: string | null; notice: Trouble | null }
}

export type Verdict = Pick<Condition, 'status'> & Trouble

/** Pods that are named in a message. */
const MAX_NAMED_PODS = 5

export const sinksOf = (spec: Spec | null): Sink[] =>
  spec?.sinks.elasticsearch ? ['postgres', 'elasticsearch'] : ['postgres']

/** Names some of the pods that are not ready; there are none until Kubernetes has created them. */
export function readyText({ workers: { ready, desired }, unready }: StatusInput): string {
  const counts = `${ready} of ${desired} workers ready`
  if (unready.length === 0) return counts
  const more = unready.length > MAX_NAMED_PODS ? ` and ${unready.length - MAX_NAMED_PODS} more` : ''
  const pods = unready.slice(0, MAX_NAMED_PODS).join(', ')
  return `${counts}; not ready: ${pods}${more}. If this lasts, run kubectl describe pod for them`
}
