/**
 * Needed and forbidden connections of a system with our pipelines, each with its reason. Ports are those of pods, because
 * policies apply after a Service's address was replaced by that of a pod.
 */
import type { Protocol } from '../support/network-policy.ts'

type Labels = Record<string, string>
/** Ports of the stores and of the collector. */
export type Ports = { kafka: number[]; postgres: number; elasticsearch: number[]; otlp: number[] }
export type Ruled = { from: Role; to: Role; port: number; protocol: Protocol; why: string }
/** Rules of pipelines must hold by the operator's policies alone; rules of the platform, by the policies of its parts. */
export type Rules = { pass: Ruled[]; fail: Ruled[] }
export type Role = keyof typeof PODS | keyof typeof ADDRESSES

const component = (name: string) => ({
  'app.kubernetes.io/name': 'sales-pipeline',
  'app.kubernetes.io/component': name,
})
/** Labels that select the pods of a role. The stranger is in the pipeline's namespace, the foreigner in another. */
export const PODS = {
  worker: component('processor'),
  removal: component('removal'),
  load: component('load'),
  ingest: component('ingest'),
  operator: { 'app.kubernetes.io/name': 'salespipeline-operator' },
  kafka: { 'strimzi.io/cluster': 'kafka', 'strimzi.io/broker-role': 'true' },
  entityOperator: { 'strimzi.io/cluster': 'kafka', 'strimzi.io/name': 'kafka-entity-operator' },
  strimzi: { 'strimzi.io/kind': 'cluster-operator' },
  postgres: { 'app.kubernetes.io/name': 'postgres', 'app.kubernetes.io/instance': 'postgres' },
  elasticsearch: { 'elasticsearch.k8s.elastic.co/cluster-name': 'elasticsearch' },
  eck: { 'control-plane': 'elastic-operator' },
  kibana: { 'kibana.k8s.elastic.co/name': 'kibana' },
  prometheus: { 'app.kubernetes.io/name': 'prometheus' },
  grafana: { 'app.kubernetes.io/name': 'grafana' },
  collector: { 'app.kubernetes.io/name': 'opentelemetry-collector' },
  dns: { 'k8s-app': 'kube-dns' },
  helmTest: { 'app.kubernetes.io/name': 'helm-test' },
  verifier: { 'app.kubernetes.io/name': 'salespipeline-verify' },
  kibanaImport: { 'app.kubernetes.io/name': 'kibana-import' },
  kafkaUi: { 'app.kubernetes.io/name': 'kafka-ui' },
  passwords: { 'app.kubernetes.io/name': 'salespipeline-passwords' },
  stranger: { app: 'stranger' },
  foreigner: { app: 'foreigner' },
} satisfies Record<string, Labels>

/** Addresses that are not pods. `node` is the node of the other end, whose kubelet probes it. */
export const ADDRESSES = {
  apiServer: process.env.API_SERVER_ADDRESS ?? '10.99.0.2',
  node: 'node',
  internet: '198.51.100.9',
  cloudMetadata: '169.254.169.254',
}

export const STANDARD: Ports = { kafka: [9092], postgres: 5432, elasticsearch: [9200], otlp: [4318] }

const row = (from: Role, to: Role, port: number, why: string, protocol: Protocol = 'TCP'): Ruled => ({
  from,
  to,
  port,
  protocol,
  why,
})
const each = (ports: number[], from: Role, to: Role, why: string) => ports.map(port => row(from, to, port, why))
/** DNS pods listen on 5353 where ports below 1024 are not allowed. */
const dns = (from: Role) =>
  [53, 5353].flatMap(port => [
    row(from, 'dns', port, 'names of servers', 'UDP'),
    row(from, 'dns', port, 'answers that are too long for UDP'),
  ])

export function ofPipelines(ports: Ports = STANDARD): Rules {
  const { kafka, postgres, elasticsearch, otlp } = ports
  const members = ['worker', 'load', 'ingest', 'removal'] as const
  const pass = [
    ...members.flatMap(dns),
    ...members.flatMap(member => each(otlp, member, 'collector', 'traces')),
    ...(['worker', 'load', 'ingest'] as const).flatMap(member => each(kafka, member, 'kafka', 'sales')),
    ...(['worker', 'removal'] as const).flatMap(member => [
      row(member, 'postgres', postgres, 'results'),
      ...each(elasticsearch, member, 'elasticsearch', 'projections'),
    ]),
    row('operator', 'worker', 8080, 'fetches its status'),
    row('operator', 'removal', 8080, 'fetches its status'),
    row('operator', 'worker', 8083, 'removes dead members'),
    row('prometheus', 'worker', 8080, 'scrapes'),
    row('node', 'worker', 8080, 'probes of the kubelet'),
    row('node', 'ingest', 8082, 'probes of the kubelet'),
    row('prometheus', 'ingest', 8082, 'scrapes'),
    row('stranger', 'ingest', 8000, 'a client in the same namespace'),
    row('foreigner', 'ingest', 8000, 'a gateway in another namespace'),
    row('helmTest', 'ingest', 8000, 'sends its sale'),
    row('internet', 'ingest', 8000, 'clients through a load balancer that keeps their addresses'),
  ]
  const uninvited = [
    'stranger',
    'foreigner',
    'load',
    'ingest',
    'kafka',
    'postgres',
    'elasticsearch',
    'internet',
  ] as const
  const fail = [
    ...uninvited.map(from => row(from, 'worker', 8080, 'metrics and status are for the operator and Prometheus')),
    ...[...uninvited, 'prometheus' as const].map(from =>
      row(from, 'worker', 8083, 'only the operator may remove members; permission to read metrics is not enough'),
    ),
    row('stranger', 'load', 8080, 'nothing connects to the load generator'),
    row('prometheus', 'load', 8080, 'the load generator has no metrics'),
    row('prometheus', 'worker', 9229, 'only the port with metrics is open'),
    row('operator', 'worker', 9229, 'the debugger port is closed for everyone'),
    row('stranger', 'ingest', 8080, 'only the port for sales is open'),
    ...(['stranger', 'foreigner', 'internet', 'worker', 'operator'] as const).map(from =>
      row(from, 'ingest', 8082, 'metrics of the ingest are for Prometheus'),
    ),
    row('stranger', 'worker', 8080, 'another protocol is another port', 'UDP'),
    ...(['load', 'ingest'] as const).flatMap(producer => [
      row(producer, 'postgres', postgres, 'producers have no access to results'),
      ...each(elasticsearch, producer, 'elasticsearch', 'producers have no access to results'),
      row(producer, 'kafka', 9091, 'the brokers’ own port'),
    ]),
    ...members.flatMap(member => [
      row(member, 'internet', 80, 'nothing is fetched from outside'),
      row(member, 'internet', 443, 'nothing is sent outside'),
      row(member, 'apiServer', 6443, 'no part of a pipeline speaks to the API server'),
      row(member, 'apiServer', 10250, 'no part of a pipeline speaks to kubelets'),
      row(member, 'cloudMetadata', 80, 'the cloud’s credentials'),
      row(member, 'operator', 8081, 'only Prometheus connects to the operator'),
      row(member, 'stranger', 8080, 'a pod that is not ours is not a server of ours'),
    ]),
    row('worker', 'ingest', 8000, 'workers send no sales'),
    row('worker', 'kafka', 9090, 'the brokers’ own port'),
    row('worker', 'elasticsearch', 9300, 'the nodes’ own port'),
  ]
  return { pass, fail }
}

/** Rules by the policies of the chart, of Strimzi (which creates those of Kafka) and of the cluster's administrator. */
export function ofPlatform(ports: Ports = STANDARD): Rules {
  const { kafka, postgres } = ports
  const pass = [
    ...(['operator', 'kafka', 'entityOperator', 'kibana', 'elasticsearch', 'grafana', 'helmTest'] as const).flatMap(
      dns,
    ),
    row('operator', 'apiServer', 6443, 'behind the Service kubernetes, port 443: an address outside of pods'),
    row('prometheus', 'operator', 8081, 'scrapes'),
    row('node', 'operator', 8081, 'probes of the kubelet'),
    ...each(kafka, 'worker', 'kafka', 'sales'),
    row('worker', 'postgres', postgres, 'results'),
    row('worker', 'elasticsearch', 9200, 'projections'),
    row('removal', 'postgres', postgres, 'removes results'),
    row('removal', 'elasticsearch', 9200, 'removes projections'),
    row('kafka', 'kafka', 9090, 'controllers'),
    row('kafka', 'kafka', 9091, 'replication'),
    row('strimzi', 'kafka', 9090, 'asks the controllers before it restarts them'),
    row('strimzi', 'kafka', 9091, 'asks the brokers before it restarts them'),
    row('strimzi', 'kafka', 8443, 'asks the agent for a broker’s state'),
    row('entityOperator', 'kafka', 9091, 'topics'),
    row('entityOperator', 'apiServer', 6443, 'watches KafkaTopics'),
    row('node', 'kafka', 8443, 'probes of the kubelet'),
    row('elasticsearch', 'elasticsearch', 9300, 'nodes to each other'),
    row('eck', 'elasticsearch', 9200, 'asks for the cluster’s health'),
    row('kibana', 'elasticsearch', 9200, 'queries and its own index'),
    row('node', 'elasticsearch', 9200, 'probes of the kubelet'),
    row('node', 'kibana', 5601, 'probes of the kubelet; port-forward comes the same way'),
    row('grafana', 'postgres', postgres, 'the sales dashboard'),
    row('node', 'postgres', postgres, 'probes of the kubelet'),
    row('helmTest', 'ingest', 8000, 'sends its sale'),
    row('helmTest', 'postgres', postgres, 'reads it back'),
    row('helmTest', 'elasticsearch', 9200, 'reads it back'),
    ...each(kafka, 'verifier', 'kafka', 'recomputes'),
    row('verifier', 'postgres', postgres, 'compares rows'),
    row('verifier', 'elasticsearch', 9200, 'compares documents'),
    ...dns('kibanaImport'),
    row('kibanaImport', 'kibana', 5601, 'imports our dashboard'),
    row('eck', 'kibana', 5601, 'asks for its health'),
    ...dns('passwords'),
    row('passwords', 'apiServer', 6443, 'creates Secrets'),
    ...each(kafka, 'kafkaUi', 'kafka', 'shows topics'),
    ...dns('kafkaUi'),
    row('node', 'kafkaUi', 8080, 'probes of the kubelet; port-forward comes the same way'),
  ]
  const fail = [
    ...(['stranger', 'foreigner', 'internet'] as const).flatMap(from => [
      row(from, 'postgres', postgres, 'results are only for pods that are allowed to connect'),
      row(from, 'elasticsearch', 9200, 'projections are for Kibana, the workers and ECK'),
      row(from, 'elasticsearch', 9300, 'any client of this port could join the cluster'),
      ...each(kafka, from, 'kafka', 'the plain port needs no password'),
      row(from, 'kafka', 9090, 'the brokers’ own port'),
      row(from, 'kafka', 9091, 'the brokers’ own port'),
      row(from, 'operator', 8081, 'metrics are for Prometheus'),
    ]),
    ...(['stranger', 'foreigner', 'worker', 'internet'] as const).map(from =>
      row(from, 'kafkaUi', 8080, 'users connect by port-forward or by a gateway, because the page needs no login'),
    ),
    row('foreigner', 'kibana', 5601, 'users connect by port-forward or by a gateway'),
    ...(['postgres', 'kafka', 'elasticsearch', 'kibana'] as const).flatMap(server => [
      row(server, 'internet', 443, 'stores send no data outside'),
      row(server, 'cloudMetadata', 80, 'the cloud’s credentials'),
    ]),
    row('postgres', 'apiServer', 6443, 'a database speaks to no API server (unless CloudNativePG runs it)'),
    row('operator', 'postgres', postgres, 'the operator reads no results: workers report to it'),
    ...each(kafka, 'operator', 'kafka', 'workers report the lag'),
    row('kibana', 'postgres', postgres, 'Kibana reads projections only'),
    row('grafana', 'elasticsearch', 9200, 'dashboards read PostgreSQL and Prometheus'),
    row('kibanaImport', 'elasticsearch', 9200, 'it speaks to Kibana alone'),
    row('kafkaUi', 'postgres', postgres, 'it shows topics alone'),
    row('passwords', 'postgres', postgres, 'it speaks to the API server alone'),
    row('kafkaUi', 'internet', 443, 'it sends no data outside'),
    row('helmTest', 'kafka', 9092, 'its sale goes through the ingest'),
  ]
  return { pass, fail }
}
