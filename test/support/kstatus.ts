/**
 * The rules of kstatus (sigs.k8s.io/cli-utils, pkg/kstatus/status) for custom resources, by which Flux, kpt and Helm wait.
 */
import type { Json } from './kube.ts'

export type Kstatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current'

export function kstatusOf({ metadata, status = {} }: Json): Kstatus {
  if (metadata.deletionTimestamp) return 'Terminating'
  if (status.observedGeneration !== undefined && status.observedGeneration !== metadata.generation) return 'InProgress'
  const conditions: Json[] = status.conditions ?? []
  for (const { type, status: value } of conditions) {
    if (type === 'Reconciling' && value === 'True') return 'InProgress'
    if (type === 'Stalled' && value === 'True') return 'Failed'
  }
  const ready = conditions.find(({ type }) => type === 'Ready')
  // Without a condition Ready, a resource counts as ready.
  return ready === undefined || ready.status === 'True' ? 'Current' : 'InProgress'
}
