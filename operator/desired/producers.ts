/** The load generator and the REST ingest, where the spec asks for them. */
import { ALL_ADDRESSES } from '#common/http.ts'
import { INGEST_METRICS_PORT, INGEST_PORT } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import { sourceSecrets } from '#pipeline/secrets.ts'
import { formatDuration } from '#pipeline/units.ts'
import type { KubeObject } from '../kube/resources.ts'
import { type Component, metadata, producerName, selectorOf } from './names.ts'
import type { Observed } from './observed.ts'
import { deployment, kafkaToken, type Mount, podMonitor, resourcesOf, type Workload } from './workload.ts'

const RESOURCES = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } }

function producer(
  observed: Observed,
  component: Component,
  workload: Pick<Workload, 'replicas' | 'args' | 'strategy' | 'ports' | 'mounts' | 'env' | 'resources'>,
) {
  return deployment(observed, {
    name: producerName(observed.owner, component),
    component,
    image: observed.settings.images.producer,
    config: 'producer.yaml',
    secrets: sourceSecrets(observed.spec),
    kafkaToken: kafkaToken(observed.spec),
    ...workload,
  })
}

/** One pod, and never two during an update: two would generate the same sales twice. */
export function load(observed: Observed): KubeObject[] {
  if (!observed.spec.load.onCluster) return []
  return [
    producer(observed, 'load', { replicas: 1, args: ['load'], strategy: { type: 'Recreate' }, resources: RESOURCES }),
  ]
}

export function ingest(observed: Observed): KubeObject[] {
  const { owner, spec } = observed
  const { replicas } = spec.ingest
  if (replicas === 0) return []
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  const { args, mounts } = authentication(spec.ingest)
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(owner, producerName(owner, 'ingest'), 'ingest'),
      spec: { selector: selectorOf(owner, 'ingest'), ports: [servicePort(spec.ingest)] },
    },
    producer(observed, 'ingest', {
      replicas,
      args: ['serve', '--host=0.0.0.0', `--port=${INGEST_PORT}`, ...args, ...rateFlags(spec.ingest)],
      strategy,
      ports: [
        { name: 'metrics', containerPort: INGEST_METRICS_PORT },
        { name: 'http', containerPort: INGEST_PORT },
      ],
      env: [
        { name: 'HTTP_PORT', value: `${INGEST_METRICS_PORT}` },
        { name: 'HTTP_HOST', value: ALL_ADDRESSES },
        // Memory limit of the container; the memory of the node if there is no limit.
        { name: 'MEMORY_LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1' } } },
      ],
      mounts,
      resources: resourcesOf(spec.ingest.resources, RESOURCES),
    }),
    ...podMonitor(observed, producerName(owner, 'ingest'), 'ingest', 'metrics'),
  ]
}

type Authentication = { args: string[]; mounts: Mount[] }

/** The flags of `producer serve` for what the spec asks of clients, and the files that they name. */
function authentication({ tokensSecretRef, jwt, tls, insecure }: Spec['ingest']): Authentication {
  const files = [
    { name: 'tokens', ref: tokensSecretRef },
    { name: 'tls-cert', ref: tls?.certSecretRef },
    { name: 'tls-key', ref: tls?.keySecretRef },
    { name: 'tls-client-ca', ref: tls?.clientCaSecretRef },
  ]
  const mounts = files.flatMap(({ name, ref }) => (ref ? [{ name, ref, path: `/etc/ingest/${name}/${name}` }] : []))
  return {
    args: [
      ...mounts.map(({ name, path }) => `--${name}=${path}`),
      ...(jwt ? jwtFlags(jwt) : []),
      ...(insecure ? ['--insecure'] : []),
    ],
    mounts,
  }
}

function jwtFlags({ issuer, audience, jwksUrl, clientClaim }: NonNullable<Spec['ingest']['jwt']>): string[] {
  return [
    `--jwt-issuer=${issuer}`,
    `--jwt-audience=${audience}`,
    `--jwks-url=${jwksUrl}`,
    `--jwt-client-claim=${clientClaim}`,
  ]
}

const servicePort = ({ tls }: Spec['ingest']) =>
  tls ? { name: 'https', port: 443, targetPort: 'http' } : { name: 'http', port: 80, targetPort: 'http' }

function rateFlags({ clientLimits }: Spec['ingest']): string[] {
  if (!clientLimits) return []
  const { requestsPerSecond, salesPerSecond, burst } = clientLimits
  return [
    ...(requestsPerSecond === undefined ? [] : [`--client-requests-per-second=${requestsPerSecond}`]),
    ...(salesPerSecond === undefined ? [] : [`--client-sales-per-second=${salesPerSecond}`]),
    `--client-burst=${formatDuration(burst)}`,
  ]
}
