/** The checks of pipeline/pod-checks.ts in CEL. */
import { ONE_VALUE } from '#pipeline/pod-checks.ts'
import type { CelRule } from './admission-rules.ts'

export const VARIABLE: CelRule[] = [
  { rule: 'has(self.value) != has(self.valueSecretRef)', message: ONE_VALUE, fieldPath: '.value' },
]
