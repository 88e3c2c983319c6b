/** The Job that deletes a pipeline's rows and documents (spec.deletionPolicy: delete). Its pod reports what it waits for. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import { sinkSecrets } from '#pipeline/secrets.ts'
import type { KubeObject } from '../kube/resources.ts'
import { configFiles } from './config.ts'
import { DOCUMENT, keyOfOwner, labelsOf, PIPELINE, removalName } from './names.ts'
import type { Observed } from './observed.ts'
import { WORKER_ENVIRONMENT } from './processor.ts'
import { podSpec } from './workload.ts'

const RESOURCES = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } }
/** Only crashes count: the program itself retries whatever may recover. */
const MAX_RESTARTS = 20
/** Longer than the operator may be down between the Job's success and the removal of the finalizer. */
const TTL_SECONDS = 86_400

type Removed = Pick<Observed, 'owner' | 'document' | 'spec' | 'settings'>

/**
 * The Job has no owner reference and depends on no object that has one, because a foreground deletion removes those first.
 * Its file comes from an annotation for that reason, not from the pipeline's ConfigMap.
 */
export function removalJob({ owner, document, spec, settings }: Removed): KubeObject {
  const labels = labelsOf(owner, 'removal')
  const { pods } = spec
  const { serviceAccountName } = pods
  const file = 'processor.yaml'
  const program = {
    component: 'removal' as const,
    image: settings.images.processor,
    args: ['remove'],
    config: file as typeof file,
    secrets: sinkSecrets(spec),
    ports: [{ name: 'http', containerPort: WORKER_PORT }],
    resources: RESOURCES,
    env: WORKER_ENVIRONMENT,
  }
  const fieldRef = { fieldPath: `metadata.annotations['${DOCUMENT}']` }
  const pod = podSpec({ owner, settings, spec }, program, { downwardAPI: { items: [{ path: file, fieldRef }] } })
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: removalName(owner),
      namespace: owner.namespace,
      labels,
      annotations: { [PIPELINE]: keyOfOwner(owner) },
    },
    spec: {
      backoffLimit: MAX_RESTARTS,
      // The operator deletes the Job after the pipeline; the TTL covers an operator that could not.
      ttlSecondsAfterFinished: TTL_SECONDS,
      template: {
        metadata: {
          labels: { ...pods.labels, ...labels },
          annotations: { ...pods.annotations, [DOCUMENT]: configFiles(owner, document)[file] },
        },
        spec: { restartPolicy: 'OnFailure', ...(serviceAccountName && { serviceAccountName }), ...pod },
      },
    },
  }
}
