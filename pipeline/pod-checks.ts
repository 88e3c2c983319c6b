/** The checks of `spec.pods` that span fields. */
import { duplicateNames, type Fault } from './faults.ts'
import type { Spec } from './schema.ts'

export const ONE_VALUE = 'must have either value or valueSecretRef'

export function podFaults({ pods }: Spec): Fault[] {
  return [
    ...pods.env.flatMap(({ value, valueSecretRef }, i) =>
      (value === undefined) === (valueSecretRef === undefined)
        ? [{ path: ['pods', 'env', i, 'value'], message: ONE_VALUE }]
        : [],
    ),
    ...(['env', 'imagePullSecrets'] as const).flatMap(list =>
      duplicateNames(
        pods[list].map(({ name }) => name),
        i => ['pods', list, i, 'name'],
      ),
    ),
  ]
}
