/** Allowed connections to and from the workloads: by port where the other side is known only by name. */
import { INGEST_METRICS_PORT, INGEST_PORT, MEMBERS_PORT, WORKER_PORT } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { KubeObject } from '../kube/resources.ts'
import { COMPONENT, type Component, MANAGED_BY, metadata, producerName, selectorOf } from './names.ts'
import type { Observed, Owner } from './observed.ts'

const tcp = (port: number) => ({ port, protocol: 'TCP' })
/** Ports of the DNS pods: they listen on 5353 where ports below 1024 are not allowed, as on OpenShift. */
const DNS = { ports: [53, 5353].flatMap(port => [tcp(port), { port, protocol: 'UDP' }]) }

/** Prometheus is selected by its label, in any namespace. */
const PROMETHEUS = { namespaceSelector: {}, podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } } }

export function networkPolicies(observed: Observed): KubeObject[] {
  const { spec } = observed
  const kafka = [...spec.source.bootstrapServers.map(portOf), ...tokenPorts(spec)]
  const stores = [spec.sinks.postgres.port, ...(spec.sinks.elasticsearch?.nodes ?? []).map(portOfUrl)]
  const producers: Component[] = [
    ...(spec.load.onCluster ? (['load'] as const) : []),
    ...(spec.ingest.replicas > 0 ? (['ingest'] as const) : []),
  ]
  return [
    // The removal Job of a deleted pipeline connects to the same stores, and the operator fetches its status.
    policy(observed, 'processor', readersAndOperator(observed), [...kafka, ...stores], ['processor', 'removal']),
    ...producers.map(component =>
      policy(
        observed,
        component,
        // Anyone may send sales to the ingest: restricting access to it is the task of the cluster's gateway.
        component === 'ingest'
          ? [{ ports: [tcp(INGEST_PORT)] }, { from: [PROMETHEUS], ports: [tcp(INGEST_METRICS_PORT)] }]
          : [],
        component === 'ingest' ? [...kafka, ...keyPorts(spec)] : kafka,
      ),
    ),
  ]
}

/** The ingest fetches the keys of its clients' identity provider. */
const keyPorts = ({ ingest: { jwt } }: Spec) => (jwt ? [portOfUrl(jwt.jwksUrl)] : [])

/** Every client of Kafka fetches its tokens. */
const tokenPorts = ({ source: { sasl } }: Spec) => (sasl?.oauth ? [portOfUrl(sasl.oauth.tokenEndpoint)] : [])

function policy(
  observed: Observed,
  component: Component,
  ingress: object[],
  egressPorts: number[],
  components: Component[] = [component],
): KubeObject {
  const { owner, settings } = observed
  const ports = [...new Set([...egressPorts, ...telemetryPorts(settings.telemetry)])].sort((a, b) => a - b)
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(owner, producerName(owner, component), component),
    spec: {
      podSelector: podsOf(owner, components),
      policyTypes: ['Ingress', 'Egress'],
      ingress,
      egress: [DNS, { ports: ports.map(tcp) }],
    },
  }
}

function podsOf(owner: Owner, components: Component[]): object {
  if (components.length === 1) return { matchLabels: selectorOf(owner, components[0]!) }
  const matchExpressions = [{ key: COMPONENT, operator: 'In', values: components }]
  return { matchLabels: selectorOf(owner), matchExpressions }
}

/** The operator and Prometheus read status and metrics; only the operator removes dead members. */
function readersAndOperator({ settings }: Observed): object[] {
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': settings.namespace } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': MANAGED_BY } },
  }
  return [
    { from: [operator, PROMETHEUS], ports: [tcp(WORKER_PORT)] },
    { from: [operator], ports: [tcp(MEMBERS_PORT)] },
  ]
}

function telemetryPorts(telemetry: Record<string, string>): number[] {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = telemetry
  const endpoint = OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? OTEL_EXPORTER_OTLP_ENDPOINT
  return endpoint ? [portOfUrl(endpoint)] : []
}

const portOfUrl = (url: string) => Number(new URL(url).port) || (url.startsWith('https:') ? 443 : 80)

const portOf = (endpoint: Spec['source']['bootstrapServers'][number]) => Number(endpoint.split(':').at(-1))
