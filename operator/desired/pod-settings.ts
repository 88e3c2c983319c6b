/** What `spec.pods` adds to a pod. Labels, annotations and variables of ours win; the schema refuses theirs of the same name. */
import type { Spec } from '#pipeline/schema.ts'
import { type Component, selectorOf } from './names.ts'
import type { Observed } from './observed.ts'

type Pods = Spec['pods']

/** Pods leave a node that is not ready or unreachable for this long. */
const NODE_LOST_SECONDS = 15

export function scheduling({ owner, spec: { pods } }: Pick<Observed, 'owner' | 'spec'>, component: Component): object {
  const { nodeSelector, affinity, priorityClassName } = pods
  const labelSelector = { matchLabels: selectorOf(owner, component) }
  return {
    ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
    ...(affinity && { affinity }),
    ...(priorityClassName && { priorityClassName }),
    topologySpreadConstraints: (pods.topologySpreadConstraints ?? SPREAD).map(constraint => ({
      ...constraint,
      labelSelector: constraint.labelSelector ?? labelSelector,
    })),
    tolerations: [
      ...NODE_LOST.filter(
        ({ key, effect }) => !pods.tolerations.some(own => own.key === key && (own.effect ?? effect) === effect),
      ),
      ...pods.tolerations,
    ],
  }
}

/** Spread, so that losing a node does not lose all pods; but a single node may still run all of them. */
const SPREAD: Record<string, unknown>[] = ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map(
  topologyKey => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
  }),
)

/** The pods hold no state: they move to another node at once instead of after Kubernetes' five minutes. */
const NODE_LOST = ['not-ready', 'unreachable'].map(state => ({
  key: `node.kubernetes.io/${state}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: NODE_LOST_SECONDS,
}))

export function pullSecrets({ settings, spec }: Pick<Observed, 'settings' | 'spec'>): object {
  const names = new Set([...settings.images.pullSecrets, ...spec.pods.imagePullSecrets.map(({ name }) => name)])
  return names.size > 0 ? { imagePullSecrets: [...names].map(name => ({ name })) } : {}
}

/** Refers to Secrets, so that the operator never sees a value. */
export function environment({ env }: Pods): object[] {
  return env.map(({ name, value, valueSecretRef }) =>
    valueSecretRef ? { name, valueFrom: { secretKeyRef: { ...valueSecretRef } } } : { name, value },
  )
}
