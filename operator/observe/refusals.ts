/** Pods that the API server refuses to create, read from the status of the Deployment that asks for them. */
import { COMPONENT } from '../desired/names.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Trouble } from './pods.ts'

type DeploymentCondition = { type: string; status: string; reason?: string; message?: string }

/** The pod's name has a random part, which would change the status with each attempt. */
const PREFIX = /^pods "[^"]*" is forbidden: /

/** What to do, by the API server's message; the first one that matches. */
const ADVICE: [RegExp, (match: RegExpExecArray, spec: string) => string][] = [
  [
    /exceeded quota: ([^,]+)/,
    ([, quota], spec) => `Raise ResourceQuota ${quota}, or lower ${spec}.resources or ${spec}.replicas`,
  ],
  [
    /failed quota: ([^:]+): must specify/,
    ([, quota], spec) => `Set the requests and limits that ResourceQuota ${quota} asks for in ${spec}.resources`,
  ],
  [
    /status unknown for quota: ([^,]+)/,
    ([, quota]) => `Kubernetes has not counted what ResourceQuota ${quota} covers yet; it tries again`,
  ],
  [
    /(maximum|minimum) \S+ usage per|max limit to request ratio/,
    (_, spec) =>
      `Set ${spec}.resources to values that the LimitRange of the namespace allows, or change the LimitRange`,
  ],
  [
    /violates PodSecurity/,
    () => 'The pods meet the level restricted: check which field another webhook or policy has added to them',
  ],
  [
    /error looking up service account/,
    () => 'Wait until the ServiceAccount exists; the operator creates it again if somebody deleted it',
  ],
  [
    /admission webhook "([^"]+)"/,
    ([, webhook]) => `Change the policy behind webhook ${webhook}, or make an exception for the pods of this pipeline`,
  ],
  [
    /failed calling webhook "([^"]+)"/,
    ([, webhook]) => `Webhook ${webhook} does not respond: repair the program behind it`,
  ],
  [
    /ValidatingAdmissionPolicy '([^']+)'/,
    ([, policy]) => `Change ValidatingAdmissionPolicy ${policy}, or make an exception for the pods of this pipeline`,
  ],
]
const OTHERWISE = 'Change the policy that the message names'

/** Empty while no pod is refused. */
export function refusalsOf(deployment: KubeObject | undefined): Trouble[] {
  const { conditions = [] } = (deployment?.status ?? {}) as { conditions?: DeploymentCondition[] }
  const failure = conditions.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True')
  if (!deployment || failure?.reason !== 'FailedCreate') return []
  const refusal = (failure.message ?? '').replace(PREFIX, '')
  const spec = deployment.metadata.labels?.[COMPONENT] === 'ingest' ? 'spec.ingest' : 'spec.workers'
  const message = `Kubernetes refuses pods of Deployment ${deployment.metadata.name}: ${refusal}. ${adviceOn(refusal, spec)}`
  return [{ reason: 'PodsRefused', message }]
}

function adviceOn(refusal: string, spec: string): string {
  for (const [pattern, advice] of ADVICE) {
    const match = pattern.exec(refusal)
    if (match) return advice(match, spec)
  }
  return OTHERWISE
}
