/** The common part of all our Deployments: an unprivileged pod that does not depend on its node. */
import { basename, dirname } from 'node:path/posix'
import { ADMITTED } from '#common/environment.ts'
import { SECRETS_DIR } from '#common/secret-watch.ts'
import { WORKER_EXIT_MS } from '#pipeline/limits.ts'
import type { SecretRef, Spec } from '#pipeline/schema.ts'
import { KAFKA_TOKEN_FILE, secretVariable } from '#pipeline/secrets.ts'
import type { KubeObject } from '../kube/resources.ts'
import { CONFIG_FOLDER, type ConfigFile, configFiles, hashOf } from './config.ts'
import { accountName, CONFIG_HASH, type Component, configName, labelsOf, metadata, selectorOf } from './names.ts'
import type { Observed } from './observed.ts'
import { environment, pullSecrets, scheduling } from './pod-settings.ts'

/** The images' own user (Dockerfile). */
const USER = 10_001
/** Three times what a worker needs to exit; the rest is for a busy node. */
const GRACE_SECONDS = (3 * WORKER_EXIT_MS) / 1000

export type Program = {
  component: Component
  image: string
  args: string[]
  config: ConfigFile
  /** Other files of the ConfigMap that the program reads. */
  files?: string[]
  secrets: SecretRef[]
  /** The first one serves metrics and probes; omit all to disable both. */
  ports?: { name: string; containerPort: number }[]
  resources: object
  env?: object[]
  /** Secrets that the program reads as files; it notices changes itself, and ends with a message while a file is missing. */
  mounts?: Mount[]
  kafkaToken?: ServiceAccountToken | undefined
}
/** `path`: the file that holds the key. */
export type Mount = { name: string; ref: SecretRef; path: string }
/** A token of the pod's ServiceAccount, which the kubelet replaces before it expires. `path`: its file. */
export type ServiceAccountToken = { audience: string; lifetimeMs: number; path: string }
export type Workload = Program & { name: string; replicas: number; strategy: object }

export function deployment(observed: Observed, workload: Workload): KubeObject {
  const { owner, spec } = observed
  const { name, component, replicas, strategy } = workload
  const files = [workload.config, ...(workload.files ?? [])]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(owner, name, component),
    spec: {
      replicas,
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorOf(owner, component) },
      strategy,
      template: {
        metadata: {
          labels: { ...spec.pods.labels, ...labelsOf(owner, component) },
          annotations: { ...spec.pods.annotations, ...rollOn(observed, workload) },
        },
        spec: {
          serviceAccountName: spec.pods.serviceAccountName ?? accountName(owner),
          ...podSpec(observed, workload, {
            configMap: { name: configName(owner), items: files.map(key => ({ key, path: key })) },
          }),
        },
      },
    },
  }
}

/** A change replaces the pods, because they read their file only at start. They notice a change of their Secrets. */
function rollOn({ owner, document }: Observed, workload: Workload): Record<string, string> {
  return { [CONFIG_HASH]: hashOf(configFiles(owner, document)[workload.config]) }
}

/** Returns the resources that the spec sets, or `otherwise` if it sets none. */
export function resourcesOf({ requests, limits }: Spec['workers']['resources'], otherwise: object): object {
  return requests || limits ? { ...(requests && { requests }), ...(limits && { limits }) } : otherwise
}

/** Returns the token that the clients of Kafka send, if the spec asks for one. */
export function kafkaToken({ source: { sasl } }: Spec): ServiceAccountToken | undefined {
  const token = sasl?.serviceAccountToken
  return token && { audience: token.audience, lifetimeMs: token.lifetime, path: '/var/run/secrets/kafka/token' }
}

/** Makes Prometheus scrape the pods, in clusters with the Prometheus operator. */
export function podMonitor({ owner, has }: Observed, name: string, component: Component, port = 'http'): KubeObject[] {
  if (!has.podMonitor) return []
  return [
    {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: metadata(owner, name, component),
      spec: {
        selector: { matchLabels: selectorOf(owner, component) },
        podMetricsEndpoints: [{ port, path: '/metrics' }],
      },
    },
  ]
}

type Pods = Pick<Observed, 'owner' | 'settings' | 'spec'>

/** `config`: the source of the volume that holds its file. */
export function podSpec(pods: Pods, program: Program, config: object): object {
  const variables = secretVariables(pods, program)
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    ...pullSecrets(pods),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...scheduling(pods, program.component),
    containers: [container(pods, program, variables.size > 0)],
    volumes: [
      { name: 'config', ...config },
      { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
      ...(program.mounts ?? []).map(({ name, ref, path }) => ({
        name,
        // A pod that waits for a volume does not say for which; the program does.
        secret: { secretName: ref.name, optional: true, items: [{ key: ref.key, path: basename(path) }] },
      })),
      ...(program.kafkaToken ? [tokenVolume(program.kafkaToken)] : []),
      ...(variables.size > 0 ? [secretsVolume(variables)] : []),
    ],
  }
}

const KAFKA_TOKEN = 'kafka-token'

function tokenVolume({ audience, lifetimeMs, path }: ServiceAccountToken): object {
  const expirationSeconds = Math.ceil(lifetimeMs / 1000)
  const serviceAccountToken = { audience, expirationSeconds, path: basename(path) }
  return { name: KAFKA_TOKEN, projected: { sources: [{ serviceAccountToken }] } }
}

const SECRETS = { name: 'secrets', path: '/var/run/secrets/salespipeline' }

/** Returns all environment variables that Secrets set, with the keys that hold their values. */
function secretVariables({ spec }: Pods, { secrets }: Program): Map<string, SecretRef> {
  const own = secrets.map(ref => [secretVariable(ref), ref] as const)
  const additional = spec.pods.env.flatMap(({ name, valueSecretRef: ref }) => (ref ? [[name, ref] as const] : []))
  return new Map([...own, ...additional])
}

/**
 * The same values as files, by which the program notices that they change (common/secret-watch.ts). Optional, because a pod
 * that lacks a volume does not show why: a missing key shows in the environment.
 */
function secretsVolume(variables: Map<string, SecretRef>): object {
  const bySecret = Map.groupBy(variables, ([, { name }]) => name)
  const sources = [...bySecret.keys()].sort().map(name => {
    const items = bySecret.get(name)!.map(([path, { key }]) => ({ key, path }))
    return { secret: { name, optional: true, items } }
  })
  return { name: SECRETS.name, projected: { sources } }
}

const probe = (port: string, path: string, periodSeconds: number, failureThreshold: number) => ({
  httpGet: { path, port },
  // A worker that drains a backlog on a small CPU share responds late.
  timeoutSeconds: 5,
  periodSeconds,
  failureThreshold,
})
const probes = (port: string) => ({
  startupProbe: probe(port, '/healthz', 1, 60),
  livenessProbe: probe(port, '/healthz', 10, 3),
  readinessProbe: probe(port, '/readyz', 2, 2),
})

function container({ settings, spec }: Pods, program: Program, hasSecrets: boolean): object {
  const { image, component, args, ports = [], resources, secrets, config, env = [], mounts = [], kafkaToken } = program
  return {
    name: component,
    image,
    imagePullPolicy: settings.images.pullPolicy,
    // The last lines of the log are then in the pod's status, where the operator can read them.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    args: [...args, `--file=${CONFIG_FOLDER}/${config}`],
    env: [
      { name: ADMITTED, value: 'true' },
      ...env,
      ...Object.entries(settings.telemetry).map(([name, value]) => ({ name, value })),
      ...secretEnvironment(secrets),
      ...(hasSecrets ? [{ name: SECRETS_DIR, value: SECRETS.path }] : []),
      ...(kafkaToken ? [{ name: KAFKA_TOKEN_FILE, value: kafkaToken.path }] : []),
      ...environment(spec.pods),
    ],
    resources,
    ...(ports[0] && { ports, ...probes(ports[0].name) }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
      // Kubernetes updates the files of a whole volume only, not a single mounted file.
      ...mounts.map(({ name, path }) => ({ name, mountPath: dirname(path), readOnly: true })),
      ...(kafkaToken ? [{ name: KAFKA_TOKEN, mountPath: dirname(kafkaToken.path), readOnly: true }] : []),
      ...(hasSecrets ? [{ name: SECRETS.name, mountPath: SECRETS.path, readOnly: true }] : []),
    ],
  }
}

/** Refers to the Secrets, so that the operator never sees a value. */
function secretEnvironment(secrets: SecretRef[]): object[] {
  const byName = new Map(secrets.map(ref => [secretVariable(ref), ref]))
  return [...byName].map(([name, ref]) => ({ name, valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } }))
}
