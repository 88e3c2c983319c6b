/** What removes a deleted pipeline's rows and documents (spec.deletionPolicy: delete), and says so when it cannot yet. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import { sinkSecrets } from '#pipeline/secrets.ts'
import type { KubeObject } from '../kube/resources.ts'
import { configFiles } from './config.ts'
import type { Observed } from './desired.ts'
import { DOCUMENT, keyOfOwner, labelsOf, PIPELINE, removalName } from './names.ts'
import { WORKER_ID } from './processor.ts'
import { podSpec } from './workload.ts'

const RESOURCES = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } }
/** It repeats by itself whatever may pass: this is for crashes. */
const RESTARTS = 20
/** Longer than the operator may be away between its success and the letting go. */
const KEPT_SECONDS = 86_400

type Removed = Pick<Observed, 'owner' | 'document' | 'spec' | 'settings'>

/**
 * Has no owner, and depends on nothing that has one: a deletion in the foreground takes all those away first. So its file
 * comes from an annotation, not from the pipeline's ConfigMap.
 */
export function removalJob({ owner, document, spec, settings }: Removed): KubeObject {
  const labels = labelsOf(owner, 'removal')
  const file = 'processor.yaml'
  const program = {
    component: 'removal' as const,
    image: settings.images.processor,
    args: ['remove'],
    config: file as typeof file,
    secrets: sinkSecrets(spec),
    port: WORKER_PORT,
    resources: RESOURCES,
    env: WORKER_ID,
  }
  const fieldRef = { fieldPath: `metadata.annotations['${DOCUMENT}']` }
  const pod = podSpec({ owner, settings }, program, { downwardAPI: { items: [{ path: file, fieldRef }] } })
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...{ name: removalName(owner), namespace: owner.namespace, labels },
      annotations: { [PIPELINE]: keyOfOwner(owner) },
    },
    spec: {
      backoffLimit: RESTARTS,
      // Deleted by the operator once the pipeline is let go; this is for one that did not come to it.
      ttlSecondsAfterFinished: KEPT_SECONDS,
      template: {
        metadata: { labels, annotations: { [DOCUMENT]: configFiles(owner, document)[file] } },
        spec: { restartPolicy: 'OnFailure', ...pod },
      },
    },
  }
}
