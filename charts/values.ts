/**
 * The chart's values: the one source from which values.yaml, values.schema.json and the table in the chart's README are
 * derived (generate.ts).
 */

import { z } from 'zod'
import { RUNBOOK } from '#grafana/runbook.ts'
import {
  DEFAULT_CONCURRENCY,
  DEFAULT_PARTITIONS,
  MAX_CONCURRENCY,
  MAX_PARTITIONS,
  MAX_POSTGRES_NAME,
  MAX_TOPIC_NAME,
} from '#pipeline/limits.ts'

const object = <Shape extends z.core.$ZodShape>(shape: Shape) => z.strictObject(shape).prefault({} as never)
/** `keys`: what the Secret must have. */
const existingSecret = (whose: string, keys: string) =>
  z
    .string()
    .regex(/^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$/)
    .default('')
    .describe(
      `Your own Secret with the password of ${whose}, with the keys ${keys}; if empty, a Job creates one with a random password`,
    )
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
    .describe('Requests and limits of each pod')

const storage = (size: string) =>
  object({
    size: quantity().default(size).describe('Size of each volume'),
    className: z.string().default('').describe('StorageClass; if empty, the default of the cluster'),
  })

const image = (by: string, what: string) => z.string().min(1).default(by).describe(what)

const images = object({
  registry: z
    .string()
    .default('')
    .describe(
      'Registry to which you pushed our images with `npm run images -- --push REGISTRY`; empty if the nodes already have the images',
    ),
  tag: z.string().default('').describe('Tag of our images; if empty, the appVersion of the chart'),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('Pull policy of our images'),
  pullSecrets: z.array(z.string()).default([]).describe('Names of Secrets with the credentials of a private registry'),
  check: enabled().describe('Whether to refuse the installation if no registry is set and no node has our images'),
})

const kubernetesList = () => z.array(z.record(z.string(), z.unknown())).default([])
const kubernetesObject = () => z.record(z.string(), z.unknown()).default({})
const strings = () => z.record(z.string(), z.string()).default({})

const pods = object({
  nodeSelector: strings().describe('Labels of the nodes that may run the pods'),
  tolerations: kubernetesList().describe('Tolerations of the pods'),
  affinity: kubernetesObject().describe('Affinity of the pods'),
  priorityClassName: z.string().default('').describe('PriorityClass of the pods'),
  labels: strings().describe('Additional labels of the pods'),
  annotations: strings().describe('Annotations of the pods'),
}).describe(
  'Pods of the operator, the StatefulSet of PostgreSQL, the Kafka UI, helm test and the Job that imports dashboards. Other operators run the other stores; each SalesPipeline has `spec.pods`',
)

const names = (what: string) =>
  z
    .array(z.string().regex(/^[^,]+$/))
    .default([])
    .describe(`${what}. A name that ends with * allows all that begin like it`)

const allow = object({
  serviceAccounts: names(
    'ServiceAccounts that pipelines may use (spec.pods.serviceAccountName). With spec.source.sasl.serviceAccountToken, a pipeline can send tokens of these accounts to any server',
  ),
  imagePullSecrets: names('Secrets that pipelines may use to pull images (spec.pods.imagePullSecrets)'),
  env: names('Environment variables that pipelines may set (spec.pods.env)'),
  envSecrets: enabled(false).describe(
    'Whether variables in spec.pods.env may come from Secrets with the label salespipeline.dev/env: "true". The operator then gets the permission to list Secrets, because it must see their labels',
  ),
}).describe('What pipelines may set as spec.pods; nothing by default')

const operator = object({
  enabled: enabled().describe(
    'Install the operator. Set this to true in exactly one release per cluster, unless each operator has its own watchNamespaces',
  ),
  watchNamespaces: z
    .array(z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/))
    .default([])
    .describe(
      'Namespaces whose SalesPipelines the operator serves. It then has a Role in each of them and no ClusterRole; they must exist before the chart is installed. If empty, it serves all namespaces',
    ),
  replicas: z
    .int()
    .min(1)
    .max(5)
    .default(2)
    .describe('Number of pods. One is the leader; if it fails, another takes over within seconds'),
  concurrency: z
    .int()
    .min(1)
    .max(MAX_CONCURRENCY)
    .default(DEFAULT_CONCURRENCY)
    .describe('Maximum number of pipelines that are reconciled at the same time'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Lowest level that is logged'),
  resources: resources({ cpu: '50m', memory: '128Mi' }, { memory: '512Mi' }),
  aggregateRoles: enabled().describe(
    'Add SalesPipelines to the roles view, edit and admin of Kubernetes. Set this to true in one release per cluster',
  ),
  topicNamespaces: z
    .array(z.string().regex(/^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/))
    .default([])
    .describe(
      'Namespaces in which SalesPipelines of all namespaces may use KafkaTopics (spec.source.strimzi.namespace); * for every namespace. Without this, a namespace must allow it by its annotation salespipeline.dev/topics-from',
    ),
  nodeSelector: z
    .record(z.string(), z.string())
    .default({})
    .describe('Labels of the nodes that may run the operator; if empty, those of `pods`'),
  tolerations: kubernetesList().describe('Tolerations of the operator’s pods; if empty, those of `pods`'),
  affinity: kubernetesObject().describe('Affinity of the operator’s pods; if empty, that of `pods`'),
  topologySpreadConstraints: kubernetesList().describe(
    'How the operator’s pods are spread, without labelSelector; if empty, over nodes where possible',
  ),
  priorityClassName: z.string().default('').describe('PriorityClass of the operator’s pods; if empty, that of `pods`'),
  serviceAccountName: z
    .string()
    .default('')
    .describe(
      'Name of an existing ServiceAccount in the namespace of the release, which gets the permissions of the operator; if empty, one is created',
    ),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
    .default({})
    .describe('Additional environment variables of the operator, such as HTTPS_PROXY'),
  allow,
})

const telemetry = object({
  otlpEndpoint: z
    .string()
    .regex(/^(https?:\/\/.+)?$/)
    .default('')
    .describe(
      'OpenTelemetry collector for the traces of all pipelines (OTLP over HTTP), such as http://otel-collector:4318; no traces if empty',
    ),
  env: z
    .record(z.string().regex(/^OTEL_[A-Z0-9_]+$/), z.string())
    .default({})
    .describe('Additional OTEL_* environment variables for all workloads'),
})

const scram = object({
  enabled: enabled(false).describe(
    'Add a listener on port 9093 with TLS and SCRAM-SHA-512, and a KafkaUser. Strimzi creates a Secret with its password',
  ),
  user: name('kafka-pipelines').describe(
    'Name of the KafkaUser, and of the Secret with the key password. The Secret NAME-name has the key username',
  ),
  plain: enabled().describe(
    'Keep the listener on port 9092, which needs no password. If false, Kafka also authorizes: the user may read and write only the listed topics',
  ),
  topics: z
    .array(z.string().min(1).max(MAX_TOPIC_NAME))
    .default([])
    .describe(
      'Topics of pipelines that the user may read and write if plain is false, beside those of kafka.topics and test.topic',
    ),
})

const kafka = object({
  enabled: enabled().describe(
    'Create a Kafka cluster; needs the Strimzi operator. If false, each SalesPipeline names your own cluster',
  ),
  name: name('kafka').describe('Name of the Kafka resource. SalesPipelines use the address NAME-kafka-bootstrap:9092'),
  version: z.string().default('').describe('Version of Kafka; if empty, the default of the Strimzi operator'),
  replicas: z.int().min(1).max(9).default(3).describe('Number of nodes; each is controller and broker'),
  scram,
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '1Gi' }, { memory: '2Gi' }),
  heap: z
    .string()
    .regex(/^\d+[mg]$/)
    .default('512m')
    .describe('Heap of each broker’s JVM. The rest of the pod’s memory limit is left for the page cache'),
  config: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('Additional settings of the brokers'),
  topics: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(MAX_TOPIC_NAME).describe('Name of the topic'),
        partitions: z.int().min(1).max(MAX_PARTITIONS).default(DEFAULT_PARTITIONS).describe('Number of partitions'),
        config: z
          .record(z.string(), z.union([z.string(), z.number()]))
          .default({})
          .describe('Settings of the topic'),
      }),
    )
    .default([])
    .describe(
      'Topics that the chart creates and owns, such as {name: transactions, partitions: 8}. SalesPipelines use them. The operator creates the other topics of SalesPipelines with source.strimzi',
    ),
})

const postgres = object({
  mode: z
    .enum(['statefulset', 'cloudnative-pg', 'external'])
    .default('statefulset')
    .describe(
      'statefulset: one pod. cloudnative-pg: a replicated cluster; needs the CloudNativePG operator. external: each SalesPipeline names your own server',
    ),
  name: name('postgres').describe(
    'Name of the Service, and of the Secret with username and password. SalesPipelines use this name',
  ),
  host: z.string().default('').describe('Host name of the server, for helm test and Grafana; only for mode external'),
  database: z.string().min(1).max(MAX_POSTGRES_NAME).default('sales').describe('Name of the database'),
  existingSecret: existingSecret('the pipelines’ user', 'username (sales) and password'),
  readerExistingSecret: existingSecret('the user reader', 'username (reader) and password'),
  superuserExistingSecret: existingSecret(
    'the superuser; only for mode statefulset',
    'username (postgres) and password',
  ),
  readerReadsAll: enabled(false).describe(
    'Whether the role reader of Grafana may read every table of the server, as in releases up to 0.3.0. If false, it reads the results of pipelines that list it in spec.sinks.postgres.readers',
  ),
  image: image('postgres:18.1', 'Image of the server; only for mode statefulset'),
  user: z.int().min(1).default(999).describe('User id of PostgreSQL in this image; only for mode statefulset'),
  instances: z.int().min(1).max(9).default(3).describe('Number of instances; only for mode cloudnative-pg'),
  parameters: z
    .record(z.string(), z.string())
    .default({ max_connections: '200' })
    .describe('Settings of the PostgreSQL server'),
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '512Mi' }, { memory: '1Gi' }),
})

const elasticsearch = object({
  enabled: enabled().describe(
    'Create an Elasticsearch cluster; needs the ECK operator. If false, each SalesPipeline names your own cluster or does not use Elasticsearch',
  ),
  name: name('elasticsearch').describe(
    'Name of the Elasticsearch resource. SalesPipelines use https://NAME-es-http:9200 and the Secret NAME',
  ),
  existingSecret: existingSecret('the pipelines’ user', 'username, password and roles (sales_pipeline)'),
  version: z.string().min(1).default('8.19.21').describe('Version of Elasticsearch and Kibana'),
  replicas: z.int().min(1).max(9).default(3).describe('Number of nodes'),
  allowMmap: enabled(false).describe(
    'Whether Elasticsearch may use memory-mapped files. This needs vm.max_map_count ≥ 262144 on the nodes. Without memory-mapped files searches are slower',
  ),
  storage: storage('20Gi'),
  resources: resources({ cpu: '250m', memory: '2Gi' }, { memory: '2Gi' }),
})

const kibana = object({
  enabled: enabled().describe('Create Kibana; needs the ECK operator and elasticsearch.enabled'),
  name: name('kibana').describe('Name of the Kibana resource'),
  resources: resources({ cpu: '100m', memory: '1Gi' }, { memory: '1Gi' }),
  dashboards: enabled().describe('Run a Job that imports our data view and dashboard'),
})

const kafkaUi = object({
  enabled: enabled(false).describe('Run the Kafka UI, which shows topics and messages; needs kafka.enabled'),
  image: image('ghcr.io/kafbat/kafka-ui:v1.4.2', 'Image of the Kafka UI'),
  resources: resources({ cpu: '50m', memory: '384Mi' }, { memory: '512Mi' }),
})

const monitoring = object({
  podMonitor: enabled().describe(
    'Create a PodMonitor for the operator; needs the Prometheus operator. Our operator creates the PodMonitors for the workers',
  ),
  alerts: enabled().describe('Create a PrometheusRule with our alerts'),
  runbooks: z
    .string()
    .default(RUNBOOK)
    .describe('Address of your copy of docs/operations.md, to which the alerts link'),
  dashboards: enabled().describe('Create ConfigMaps with dashboards, which the sidecar of Grafana loads'),
  datasource: enabled().describe(
    'Create a Secret with a PostgreSQL data source for Grafana, whose sidecar loads the Secret. The data source uses the role reader, which reads the results of pipelines with spec.sinks.postgres.readers: [reader]',
  ),
})

export const values = z.strictObject({
  images,
  crd: object({
    install: enabled().describe(
      'Install the CRD. It is upgraded with the chart and kept when the chart is uninstalled',
    ),
  }),
  operator,
  pods,
  telemetry,
  kafka,
  postgres,
  elasticsearch,
  kibana,
  kafkaUi,
  monitoring,
  networkPolicies: object({
    enabled: enabled().describe(
      'Create NetworkPolicies for the operator and the stores. The operator creates the NetworkPolicies for the workers',
    ),
    clients: z
      .array(z.record(z.string(), z.unknown()))
      .default([])
      .describe(
        'Additional clients of Kafka, the Kafka UI, PostgreSQL, Elasticsearch and Kibana: peers as in `from` of a NetworkPolicy',
      ),
  }),
  keepData: enabled().describe(
    'Keep Kafka, Elasticsearch and the CloudNativePG Cluster when the chart is uninstalled. Passwords that the Job created are always kept',
  ),
  test: object({
    topic: z.string().min(1).max(MAX_TOPIC_NAME).default('salespipeline-test').describe('Topic that helm test uses'),
    bootstrapServers: z
      .array(z.string())
      .default([])
      .describe('Kafka brokers for helm test if kafka.enabled is false. The topic must exist'),
  }),
})
