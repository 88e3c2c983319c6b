/** Logs at the start what the settings of the watermark mean for correct events (contract, section 5). */
import { unsafeWatermark } from '#pipeline/future-reach.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Telemetry } from './ports.ts'

/** `kept`: settings whose default has changed since the pipeline was created. */
export function logWatermark(spec: Spec, kept: readonly (keyof Spec['watermark'])[], log: Telemetry['log']): void {
  for (const setting of kept)
    log('warn', 'setting keeps the default of release 0.3.0; to change it, write it into the document', {
      field: `spec.watermark.${setting}`,
      valueMs: spec.watermark[setting],
    })
  const problem = unsafeWatermark(spec)
  if (problem !== null) log('warn', 'settings of the watermark are not safe together', { problem })
}
