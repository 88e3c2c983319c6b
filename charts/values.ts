/**
 * The chart's values: the one source from which values.yaml, values.schema.json and the table in the chart's README are
 * derived (generate.ts).
 */
import { z } from 'zod'
import {
  DEFAULT_CONCURRENCY,
  DEFAULT_PARTITIONS,
  MAX_CONCURRENCY,
  MAX_PARTITIONS,
  MAX_POSTGRES_NAME,
  MAX_TOPIC_NAME,
} from '#pipeline/limits.ts'

const object = <Shape extends z.core.$ZodShape>(shape: Shape) => z.strictObject(shape).prefault({} as never)
const enabled = (by = true) => z.boolean().default(by)
const name = (by: string) =>
  z
    .string()
    .regex(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/)
    .default(by)

const QUANTITY = /^\d+(\.\d+)?(m|[KMGT]i?)?$/
const quantity = () => z.string().regex(QUANTITY)
const amounts = () => z.strictObject({ cpu: quantity().optional(), memory: quantity().optional() })
type Amounts = { cpu?: string; memory?: string }
const resources = (requests: Amounts, limits: Amounts) =>
  z
    .strictObject({ requests: amounts().optional(), limits: amounts().optional() })
    .default({ requests, limits })
    .describe('Of a pod: quantities of cpu and memory')

const storage = (size: string) =>
  object({
    size: quantity().default(size),
    className: z.string().default('').describe('StorageClass; the cluster’s default when empty'),
  })

const image = (by: string, what: string) => z.string().min(1).default(by).describe(what)

const images = object({
  registry: z
    .string()
    .default('')
    .describe('Where `npm run images -- --push REGISTRY` put them; empty: on the nodes already'),
  tag: z.string().default('').describe('Of our images; the chart’s appVersion when empty'),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  pullSecrets: z.array(z.string()).default([]).describe('Names of Secrets for a private registry'),
  check: enabled().describe('Refuse to install while no registry is set and no node has the images'),
})

const operator = object({
  enabled: enabled().describe('Of a cluster’s releases, one has the operator: it serves all namespaces'),
  replicas: z.int().min(1).max(5).default(2).describe('One leads; another takes over within seconds'),
  concurrency: z
    .int()
    .min(1)
    .max(MAX_CONCURRENCY)
    .default(DEFAULT_CONCURRENCY)
    .describe('Pipelines that are worked on at a time'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  resources: resources({ cpu: '50m', memory: '128Mi' }, { memory: '512Mi' }),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  tolerations: z.array(z.record(z.string(), z.unknown())).default([]),
})

const telemetry = object({
  otlpEndpoint: z
    .string()
    .regex(/^(https?:\/\/.+)?$/)
    .default('')
    .describe(
      'OpenTelemetry collector for traces of all pipelines (OTLP over HTTP), such as http://otel-collector:4318; empty: no traces',
    ),
  env: z
    .record(z.string().regex(/^OTEL_[A-Z0-9_]+$/), z.string())
    .default({})
    .describe('Further standard OTEL_* variables for all workloads'),
})

const kafka = object({
  enabled: enabled().describe('A Kafka cluster by Strimzi’s operator; off: documents name one of yours'),
  name: name('kafka').describe('Documents then say NAME-kafka-bootstrap:9092'),
  version: z.string().default('').describe('Of Kafka; the operator’s default when empty'),
  replicas: z.int().min(1).max(9).default(3).describe('Nodes, each controller and broker'),
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '1Gi' }, { memory: '2Gi' }),
  heap: z
    .string()
    .regex(/^\d+[mg]$/)
    .default('512m')
    .describe('Of each broker’s JVM; the rest of its memory caches pages'),
  config: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('Further settings of the brokers'),
  topics: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(MAX_TOPIC_NAME),
        partitions: z.int().min(1).max(MAX_PARTITIONS).default(DEFAULT_PARTITIONS),
        config: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
      }),
    )
    .default([])
    .describe('Topics that no document asks for with source.strimzi; such as {name: transactions, partitions: 8}'),
})

const postgres = object({
  mode: z
    .enum(['statefulset', 'cloudnative-pg', 'external'])
    .default('statefulset')
    .describe('One pod of ours; a Cluster by CloudNativePG’s operator; or external: documents name a server of yours'),
  name: name('postgres').describe('Service, and Secret with username and password, that documents name'),
  host: z.string().default('').describe('Of mode external: the server, for helm test and Grafana'),
  database: z.string().min(1).max(MAX_POSTGRES_NAME).default('sales'),
  image: image('postgres:18.1', 'Of mode statefulset'),
  user: z.int().min(1).default(999).describe('User id in this image'),
  instances: z.int().min(1).max(9).default(3).describe('Of mode cloudnative-pg'),
  parameters: z.record(z.string(), z.string()).default({ max_connections: '200' }).describe('Settings of the server'),
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '512Mi' }, { memory: '1Gi' }),
})

const elasticsearch = object({
  enabled: enabled().describe('By ECK’s operator; off: documents name one of yours, or none'),
  name: name('elasticsearch').describe('Documents then say https://NAME-es-http:9200 and Secret NAME'),
  version: z.string().min(1).default('8.19.21'),
  replicas: z.int().min(1).max(9).default(3),
  allowMmap: enabled(false).describe(
    'Needs vm.max_map_count ≥ 262144 on the nodes; without it searches are somewhat slower',
  ),
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '2Gi' }, { memory: '2Gi' }),
})

const kibana = object({
  enabled: enabled().describe('By ECK’s operator; needs elasticsearch.enabled'),
  name: name('kibana'),
  resources: resources({ cpu: '100m', memory: '1Gi' }, { memory: '1Gi' }),
  dashboards: enabled().describe('Imports our data view and dashboard, by a Job'),
})

const kafkaUi = object({
  enabled: enabled(false).describe('A page on topics and messages; needs kafka.enabled'),
  image: image('ghcr.io/kafbat/kafka-ui:v1.4.2', 'Of the Kafka UI'),
  resources: resources({ cpu: '50m', memory: '384Mi' }, { memory: '512Mi' }),
})

const monitoring = object({
  podMonitor: enabled().describe('Has Prometheus’ operator scrape ours (it makes the workers’ own where it can)'),
  alerts: enabled().describe('PrometheusRule with our alerts'),
  runbooks: z
    .string()
    .default('https://runbook.example/docs/operations.md')
    .describe('Where alerts link to: address of your copy of docs/operations.md'),
  dashboards: enabled().describe('ConfigMaps that Grafana’s sidecar loads'),
  datasource: enabled().describe('Secret that makes Grafana’s sidecar add PostgreSQL, with a user that only reads'),
})

export const values = z.strictObject({
  images,
  crd: object({
    install: enabled().describe('The CRD of SalesPipelines, upgraded with the chart, kept when it is uninstalled'),
  }),
  operator,
  telemetry,
  kafka,
  postgres,
  elasticsearch,
  kibana,
  kafkaUi,
  monitoring,
  networkPolicies: object({
    enabled: enabled().describe('For operator and stores; workers’ own come from the operator'),
    clients: z
      .array(z.record(z.string(), z.unknown()))
      .default([])
      .describe('Who else may talk to Kafka, PostgreSQL, Elasticsearch and Kibana: peers as in a NetworkPolicy’s from'),
  }),
  keepData: enabled().describe(
    'Kafka, Elasticsearch, CloudNativePG’s Cluster and the passwords outlive helm uninstall',
  ),
  test: object({
    topic: z.string().min(1).max(MAX_TOPIC_NAME).default('salespipeline-test').describe('That helm test uses'),
    bootstrapServers: z
      .array(z.string())
      .default([])
      .describe('Kafka for helm test, where kafka.enabled is off; the topic must be there'),
  }),
})
