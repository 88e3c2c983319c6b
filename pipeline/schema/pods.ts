/** `spec.pods`: where and how Kubernetes runs the pods of a pipeline. Fields of Kubernetes have the names that it gives them. */
import { z } from 'zod'
import { isReservedEnv, RESERVED_ENV, RESERVED_ENV_PREFIXES, RESERVED_ENV_RULE } from '../env-names.ts'
import { MAX_DNS_NAME } from '../limits.ts'
import { secretName } from '../names.ts'
import { object, optionalObject } from '../object.ts'
import { keyed, text } from '../rules.ts'
import { secretRef } from './common.ts'

/** More than any pod has. It bounds CEL's cost estimate. */
const MAX_ENTRIES = 32

/** Labels by which the operator, Services and NetworkPolicies find pods; and annotations that weaken a container. */
const RESERVED_KEYS = ['name', 'instance', 'managed-by', 'component'].map(name => `app.kubernetes.io/${name}`)
const RESERVED_KEY_PREFIXES = ['salespipeline.dev/', 'container.apparmor.security.beta.kubernetes.io/']
const RESERVED_KEYS_RULE = `must not have ${RESERVED_KEYS.join(', ')}, nor keys that begin with ${RESERVED_KEY_PREFIXES.join(' or ')}: the operator sets them`

const isReservedKey = (key: string) =>
  RESERVED_KEYS.includes(key) || RESERVED_KEY_PREFIXES.some(prefix => key.startsWith(prefix))

const list = (words: readonly string[]) => `[${words.map(word => `'${word}'`).join(', ')}]`
const noneBegins = (value: string, prefixes: readonly string[]) =>
  prefixes.map(prefix => `!${value}.startsWith('${prefix}')`).join(' && ')

const strings = () => z.record(z.string(), z.string().max(1000)).meta({ maxProperties: MAX_ENTRIES })

/** Labels or annotations. */
const marks = () =>
  strings()
    .refine(value => !Object.keys(value).some(isReservedKey), RESERVED_KEYS_RULE)
    .meta({
      maxProperties: MAX_ENTRIES,
      rules: [
        {
          rule: `self.all(key, !(key in ${list(RESERVED_KEYS)}) && ${noneBegins('key', RESERVED_KEY_PREFIXES)})`,
          message: RESERVED_KEYS_RULE,
        },
      ],
    })

/** A field of Kubernetes' PodSpec, which the API server checks when the operator creates the pods' Deployment. */
const podField = () => z.looseObject({}).meta({ free: true })

const SYSTEM_CLASS = 'must not begin with system-: these classes are for the cluster’s own pods'
const priorityClassName = () => {
  const name = text(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a PriorityClass', MAX_DNS_NAME)
  const rules = name.meta()?.rules ?? []
  return name
    .refine(value => !value.startsWith('system-'), SYSTEM_CLASS)
    .meta({ rules: [...rules, { rule: "!self.startsWith('system-')", message: SYSTEM_CLASS }] })
}

const envName = () => {
  const name = text(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable', 128)
  const rules = name.meta()?.rules ?? []
  const rule = `${noneBegins('self', RESERVED_ENV_PREFIXES)} && !(self in ${list(RESERVED_ENV)})`
  return name
    .refine(value => !isReservedEnv(value), RESERVED_ENV_RULE)
    .meta({ rules: [...rules, { rule, message: RESERVED_ENV_RULE }] })
}

const variable = object({
  name: envName().meta({ description: `Name of the variable. It ${RESERVED_ENV_RULE}`, example: 'TZ' }),
  value: z.string().max(4000).optional().meta({ description: 'Value of the variable', example: 'Europe/Berlin' }),
  valueSecretRef: secretRef(
    'the value of the variable. The Secret must have the label salespipeline.dev/env: "true"',
  ).optional(),
})

export const pods = optionalObject({
  nodeSelector: strings()
    .default({})
    .meta({ description: 'Labels that a node must have to run the pods', example: { 'kubernetes.io/arch': 'amd64' } }),
  tolerations: z
    .array(podField())
    .max(MAX_ENTRIES)
    .default([])
    .meta({
      description:
        'Taints of nodes that the pods tolerate, as tolerations of a pod in Kubernetes. They are added to ours, with which pods leave a node that is not ready or unreachable after 15 s; a toleration of the same key and effect replaces ours',
      example: [{ key: 'dedicated', value: 'sales', effect: 'NoSchedule' }],
    }),
  affinity: podField()
    .optional()
    .meta({
      free: true,
      description: 'Affinity to nodes and to other pods, as affinity of a pod in Kubernetes',
      example: { podAntiAffinity: {} },
    }),
  topologySpreadConstraints: z
    .array(podField())
    .max(MAX_ENTRIES)
    .optional()
    .meta({
      description:
        'How the pods are spread, as topologySpreadConstraints of a pod in Kubernetes. A constraint without labelSelector counts the pods of the same program and pipeline. If left out, pods are spread over nodes and zones where possible',
      example: [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' }],
    }),
  priorityClassName: priorityClassName()
    .optional()
    .meta({ description: 'PriorityClass of the pods', example: 'business-critical' }),
  labels: marks()
    .default({})
    .meta({ description: 'Labels of the pods, beside those of the operator', example: { team: 'shop' } }),
  annotations: marks()
    .default({})
    .meta({
      description: 'Annotations of the pods, beside those of the operator',
      example: { 'sidecar.istio.io/inject': 'false' },
    }),
  imagePullSecrets: keyed(
    object({ name: secretName().meta({ description: 'Name of the Secret', example: 'registry' }) }),
    'name',
    0,
    8,
  )
    .default([])
    .describe(
      'Secrets with the credentials of a registry, beside those of the operator. Only Secrets that the operator’s settings allow',
    ),
  serviceAccountName: text(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a ServiceAccount', MAX_DNS_NAME)
    .optional()
    .meta({
      description:
        'ServiceAccount of the pods, in the namespace of the pipeline. Only an account that the operator’s settings allow. If left out, the operator creates one without permissions. Its token is never mounted, except by source.sasl.serviceAccountToken',
      example: 'shop-kafka',
    }),
  env: keyed(variable, 'name', 0, MAX_ENTRIES)
    .default([])
    .describe('Additional environment variables of all containers. Only variables that the operator’s settings allow'),
}).meta({
  description:
    'Where and how Kubernetes runs the pods of the pipeline: workers, ingest, load generator and the Job that removes results. A change replaces the pods. Has no effect outside Kubernetes',
  example: { nodeSelector: { pool: 'sales' }, tolerations: [{ key: 'dedicated', operator: 'Exists' }] },
})
