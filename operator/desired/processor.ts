/** The workers of a pipeline: Deployment, headless Service, PodDisruptionBudget and, if the cluster has the Prometheus operator, PodMonitor. */
import { ALL_ADDRESSES } from '#common/http.ts'
import { MEMBERS_PORT, WORKER_PORT } from '#pipeline/limits.ts'
import { REMOVAL_KEYS } from '#pipeline/removal-tokens.ts'
import { sinkSecrets, sourceSecrets } from '#pipeline/secrets.ts'
import type { KubeObject } from '../kube/resources.ts'
import { CONFIG_FOLDER } from './config.ts'
import { metadata, processorName, selectorOf } from './names.ts'
import type { Observed } from './observed.ts'
import { withTemplateMark } from './template.ts'
import { deployment, kafkaToken, podMonitor, resourcesOf } from './workload.ts'

/** A worker peaks at some 200 MB (README, Measured) and uses all available CPU while it catches up. */
const RESOURCES = { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } }

export const WORKER_ENVIRONMENT = [
  // The pod's name identifies the worker in logs, metrics and the consumer group.
  { name: 'WORKER_ID', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  // The probes, Prometheus and the operator connect from outside the pod.
  { name: 'HTTP_HOST', value: ALL_ADDRESSES },
]
/** CPU limit of the container; the node's CPU if there is no limit. */
const CPU_MILLIS = { name: 'CPU_MILLIS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } }

export function processor(observed: Observed): KubeObject[] {
  const { owner, spec, settings, replicas } = observed
  const name = processorName(owner)
  const matchLabels = selectorOf(owner, 'processor')
  const about = metadata(owner, name, 'processor')
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: about,
      spec: {
        clusterIP: 'None',
        // Workers that are not ready must be reachable too: their status and metrics show why.
        publishNotReadyAddresses: true,
        selector: matchLabels,
        ports: [{ name: 'http', port: WORKER_PORT, targetPort: 'http' }],
      },
    },
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: about,
      // Not minAvailable: with one worker it would block every drain of the node.
      spec: { maxUnavailable: 1, selector: { matchLabels }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
    },
    withTemplateMark(
      deployment(observed, {
        name,
        component: 'processor',
        replicas,
        image: settings.images.processor,
        args: [],
        config: 'processor.yaml',
        files: [REMOVAL_KEYS],
        secrets: [...sourceSecrets(spec), ...sinkSecrets(spec)],
        kafkaToken: kafkaToken(spec),
        ports: [
          { name: 'http', containerPort: WORKER_PORT },
          { name: 'members', containerPort: MEMBERS_PORT },
        ],
        resources: resourcesOf(spec.workers.resources, RESOURCES),
        // A new worker takes over partitions before an old one stops: two at a time would only move them twice.
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        env: [...WORKER_ENVIRONMENT, CPU_MILLIS, { name: 'MEMBERS_KEYS', value: `${CONFIG_FOLDER}/${REMOVAL_KEYS}` }],
      }),
    ),
    ...podMonitor(observed, name, 'processor'),
  ]
}
