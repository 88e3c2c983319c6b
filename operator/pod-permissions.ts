/**
 * Which settings of `spec.pods` the operator permits. A ServiceAccount, a pull Secret or the value of a Secret may belong to
 * somebody else than the author of the pipeline, and the operator would hand it out as a deputy.
 */
import type { Spec } from '#pipeline/schema.ts'
import { podSecrets } from '#pipeline/secrets.ts'
import type { Allowed } from './desired/observed.ts'
import type { Trouble } from './observe/pods.ts'

/** A Secret with this label may be read as environment variables of pods. */
const ENV_LABEL = 'salespipeline.dev/env'

/** Returns the labels of a Secret by its name; undefined if it does not exist. */
export type LabelsOf = (secret: string) => Record<string, string> | undefined

/** Returns what is not permitted, or null. Nothing of such a spec is applied. */
export function refusedPodSettings(spec: Spec, allowed: Allowed, labelsOf: LabelsOf): Trouble | null {
  const { serviceAccountName, imagePullSecrets, env } = spec.pods
  const faults = [
    ...(serviceAccountName === undefined || isAllowed(serviceAccountName, allowed.serviceAccounts)
      ? []
      : [notAllowed('serviceAccountName', serviceAccountName, 'serviceAccounts')]),
    ...imagePullSecrets
      .filter(({ name }) => !isAllowed(name, allowed.imagePullSecrets))
      .map(({ name }) => notAllowed('imagePullSecrets', name, 'imagePullSecrets')),
    ...env.filter(({ name }) => !isAllowed(name, allowed.env)).map(({ name }) => notAllowed('env', name, 'env')),
    ...[...new Set(podSecrets(spec).map(({ name }) => name))].flatMap(name =>
      allowed.envSecrets ? secretFault(name, labelsOf(name)) : [secretsNotAllowed(name)],
    ),
  ]
  return faults.length > 0 ? { reason: 'PodSettingRefused', message: faults.join('\n') } : null
}

/** Returns the spec without what is not permitted, for the Job that removes the data of such a pipeline. */
export function withPermittedPods(spec: Spec, allowed: Allowed, labelsOf: LabelsOf): Spec {
  if (!refusedPodSettings(spec, allowed, labelsOf)) return spec
  const { serviceAccountName: _, ...pods } = spec.pods
  return { ...spec, pods: { ...pods, imagePullSecrets: [], env: [] } }
}

/** A pattern that ends with * allows every name that begins like it. */
function isAllowed(name: string, patterns: string[]): boolean {
  return patterns.some(pattern => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern))
}

const secretsNotAllowed = (name: string) =>
  `spec.pods.env: the operator does not allow variables from Secrets, such as ${name}; remove valueSecretRef, or ask the administrator to set the chart’s value operator.allow.envSecrets`

const notAllowed = (field: string, value: string, setting: keyof Allowed) =>
  `spec.pods.${field}: ${value} is not allowed by the operator; remove it, or ask the administrator to add it to the chart’s value operator.allow.${setting}`

function secretFault(name: string, labels: Record<string, string> | undefined): string[] {
  if (labels?.[ENV_LABEL] === 'true') return []
  const found = labels
    ? `does not have the label ${ENV_LABEL}: "true"; add it`
    : `does not exist; create it with the label ${ENV_LABEL}: "true"`
  return [`spec.pods.env: Secret ${name} ${found} if pods may read the Secret as variables`]
}
