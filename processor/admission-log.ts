/** Logs at the start what a stored document does that a new document must not do (docs/operations.md, "Upgrading"). */
import { admissionFaults } from '#pipeline/admission.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Telemetry } from './ports.ts'

export function logAdmission(spec: Spec, log: Telemetry['log']): void {
  for (const { path, message } of admissionFaults(spec))
    log('warn', 'stored document is used, but a new one like it is refused', {
      field: ['spec', ...path].join('.'),
      problem: message,
    })
}
