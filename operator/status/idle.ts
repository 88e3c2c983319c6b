/** Workers beyond the number of partitions, which have nothing to do. */
import type { Spec } from '#pipeline/schema.ts'
import type { Trouble } from '../observe/pods.ts'

type Counted = { spec: Spec | null; workers: { desired: number }; figures: { partitions: number } }

/** Returns null while the number of partitions is not known. */
export function idleWorkers({ spec, workers: { desired }, figures: { partitions } }: Counted): Trouble | null {
  const idle = desired - partitions
  if (!spec || partitions === 0 || idle <= 0) return null
  const field = spec.workers.autoscale.mode === 'active' ? 'autoscale.min' : 'replicas'
  const message = `${desired} workers for ${partitions} partitions of topic ${spec.source.topic}: ${idle} ${idle === 1 ? 'worker is' : 'workers are'} idle; set spec.workers.${field} to ${partitions} or less, or add partitions`
  return { reason: 'WorkersIdle', message }
}
