/** Marks pods with the template from which they were created: a pod with another mark runs an earlier spec or image. */
import type { KubeObject } from '../kube/resources.ts'
import { hashOf } from './config.ts'
import { TEMPLATE_HASH } from './names.ts'

type Template = { metadata: { annotations?: Record<string, string> } }

/** Returns the Deployment with a hash of its pod template in an annotation of that template. */
export function withTemplateMark(deployment: KubeObject): KubeObject {
  const spec = deployment.spec as { template: Template }
  const { metadata } = spec.template
  const annotations = { ...metadata.annotations, [TEMPLATE_HASH]: hashOf(spec.template) }
  return { ...deployment, spec: { ...spec, template: { ...spec.template, metadata: { ...metadata, annotations } } } }
}

/** The mark that new pods of the Deployment get. */
export function templateMark({ spec }: KubeObject): string | undefined {
  return (spec as { template: Template }).template.metadata.annotations?.[TEMPLATE_HASH]
}

/** Names of the pods that were created from the template with this mark. */
export function podsOfTemplate(pods: KubeObject[], mark: string | undefined): Set<string> {
  const current = pods.filter(({ metadata }) => mark !== undefined && metadata.annotations?.[TEMPLATE_HASH] === mark)
  return new Set(current.map(({ metadata }) => metadata.name))
}
