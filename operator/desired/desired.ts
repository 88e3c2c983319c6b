/**
 * The objects that must exist for a pipeline, as a pure function of the resource and of what was observed. Golden files
 * show them (test/operator/golden); operator/apply.ts applies them.
 */
import type { KubeObject } from '../kube/resources.ts'
import { configMap } from './config.ts'
import { accountName, metadata } from './names.ts'
import { networkPolicies } from './network.ts'
import type { Observed, Owner } from './observed.ts'
import { processor } from './processor.ts'
import { ingest, load } from './producers.ts'
import { kafkaTopic } from './topic.ts'

/** Returns all child objects in the order of creation. The same input gives the same output. */
export function desired(observed: Observed): KubeObject[] {
  const { owner, spec, has } = observed
  return [
    serviceAccount(owner),
    configMap(observed),
    ...(spec.source.strimzi && has.kafkaTopic ? [kafkaTopic(owner, spec)] : []),
    ...networkPolicies(observed),
    ...processor(observed),
    ...load(observed),
    ...ingest(observed),
  ]
}

/** The workloads need no access to the API server. */
function serviceAccount(owner: Owner): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(owner, accountName(owner)),
    automountServiceAccountToken: false,
  }
}
