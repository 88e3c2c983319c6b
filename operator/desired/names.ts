/** Deterministic names and labels of what is made for a pipeline, and the marks by which it is known again. */
import type { KubeObject, Metadata, OwnerReference } from '../kube/resources.ts'
import type { Owner } from './observed.ts'

export const MANAGED_BY = 'salespipeline-operator'
const DOMAIN = 'salespipeline.dev'
/** Value of this annotation: hash of all that we applied, to notice fields that we no longer want. */
export const APPLIED = `${DOMAIN}/applied`
/** Annotation on what cannot have the pipeline as its owner: namespace/name. */
export const PIPELINE = `${DOMAIN}/pipeline`
/** Annotation of a pod that reads its file from there. */
export const DOCUMENT = `${DOMAIN}/document`
export const FINALIZER = `${DOMAIN}/cleanup`
export const CONFIG_HASH = `${DOMAIN}/config`
export const SECRETS_HASH = `${DOMAIN}/secrets`

export const COMPONENT = 'app.kubernetes.io/component'

export type Component = 'processor' | 'load' | 'ingest' | 'removal'

/** All children of all pipelines. */
export const CHILD_SELECTOR = `app.kubernetes.io/managed-by=${MANAGED_BY}`

export const keyOfOwner = ({ namespace, name }: Owner) => `${namespace}/${name}`

export function labelsOf(owner: Owner, component?: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'sales-pipeline',
    'app.kubernetes.io/instance': owner.name,
    'app.kubernetes.io/managed-by': MANAGED_BY,
    ...(component && { [COMPONENT]: component }),
  }
}

/** What selects the pods; never changes, since a Deployment's selector cannot. */
export function selectorOf(owner: Owner, component?: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'sales-pipeline',
    'app.kubernetes.io/instance': owner.name,
    ...(component && { [COMPONENT]: component }),
  }
}

export const selectorText = (labels: Record<string, string>) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')

export const processorName = ({ name }: Owner) => `${name}-processor`
export const accountName = ({ name }: Owner) => `${name}-pipeline`
export const configName = ({ name }: Owner) => `${name}-config`
/** Never that of a namesake, whose result would be taken for ours. */
export const removalName = ({ name, uid }: Owner) => `${name}-removal-${uid.slice(0, 8)}`
export const producerName = ({ name }: Owner, component: Component) => `${name}-${component}`

export function metadata(owner: Owner, name: string, component?: Component): Metadata {
  return {
    name,
    namespace: owner.namespace,
    labels: labelsOf(owner, component),
    ownerReferences: [ownerReference(owner)],
  }
}

function ownerReference({ apiVersion, kind, name, uid }: Owner): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/** Made for this very pipeline; a namesake that was deleted is another one, unless the object outlives pipelines. */
export function isOurs(object: Pick<KubeObject, 'metadata'>, owner: Owner): boolean {
  const { ownerReferences = [], annotations = {} } = object.metadata
  const controller = ownerReferences.find(reference => reference.controller)
  if (controller) return controller.uid === owner.uid
  return annotations[PIPELINE] === keyOfOwner(owner)
}
