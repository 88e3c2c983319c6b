/**
 * The `SalesPipeline` document: the one source from which types, defaults, validation, the CRD and the reference page
 * are derived. Every object is strict (an unknown field is a fault). Durations come out in milliseconds, sizes in bytes.
 */
import { z } from 'zod'
import { MAX_EXPRESSION } from './expression.ts'
import {
  DEFAULT_PARTITIONS,
  MAX_DNS_NAME,
  MAX_PARTITIONS,
  MAX_PORT,
  MAX_POSTGRES_NAME,
  MAX_RATE,
  MAX_SCALE,
  MAX_WINDOWS_PER_EVENT,
} from './limits.ts'
import { columnName, dnsLabel, identifier, indexName, pipelineName, secretName, tableName, topicName } from './names.ts'
import { object, optionalObject } from './object.ts'
import { keyed, text } from './rules.ts'
import { duration, size } from './units.ts'

export const API_VERSION = 'salespipeline.dev/v1alpha1'
export const KIND = 'SalesPipeline'

const secretKey = () => text(/^[-._a-zA-Z0-9]+$/, 'must be a key of a Secret: letters, digits, - _ .', MAX_DNS_NAME)

const secretRef = () =>
  object({ name: secretName(), key: secretKey() }).describe(
    'A key of a Kubernetes Secret; on one machine the environment variable SECRET_<NAME>_<KEY>',
  )

const endpoint = () => text(/^[A-Za-z0-9.-]+:\d{1,5}$/, 'must be host:port, such as kafka.shop.svc:9092', 260)

const RFC_3339 = z.regexes.datetime({ offset: true }).source.replace(/^\^|\$$/g, '')
const instant = () => text(new RegExp(`^${RFC_3339}$`), 'must be an RFC 3339 time such as 2026-01-31T00:00:00Z', 40)

const tls = () =>
  object({
    enabled: z.boolean().default(true),
    caSecretRef: secretRef().optional().describe('PEM of the authority to trust; the system store when left out'),
  })

const source = object({
  bootstrapServers: z.array(endpoint()).min(1).max(32).default(['localhost:9092']),
  topic: topicName(),
  partitions: z
    .int()
    .min(1)
    .max(MAX_PARTITIONS)
    .default(DEFAULT_PARTITIONS)
    .describe('Used when we create the topic; never lowered'),
  startFrom: text(
    new RegExp(`^(earliest|latest|${RFC_3339})$`),
    'must be earliest, latest or an RFC 3339 time such as 2026-01-31T00:00:00Z',
    40,
  )
    .default('earliest')
    .describe('Resolved once, at the first claim of a partition, and stored'),
  offsetOutOfRange: z
    .enum(['stop', 'skip'])
    .default('stop')
    .describe('When retention removed what we had not read yet'),
  strimzi: object({
    cluster: dnsLabel().describe('The Kafka resource'),
    namespace: dnsLabel().optional().describe('Its namespace; the pipeline’s when left out'),
    replicas: z
      .int()
      .min(1)
      .max(7)
      .optional()
      .describe('Copies of each partition; the cluster’s default when left out'),
  })
    .optional()
    .describe('On Kubernetes: the topic’s cluster is Strimzi’s, and the operator makes the KafkaTopic'),
  tls: tls().optional(),
  sasl: object({
    mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
    usernameSecretRef: secretRef(),
    passwordSecretRef: secretRef(),
  }).optional(),
})

/** `customer.country` walks objects; a path never reaches into arrays (that is what explode is for). */
const path = () =>
  text(/^[^.\x00-\x20][^.]*(\.[^.]+)*$/, 'must be a field path such as amount or customer.country', 256)

const field = object({
  name: columnName(),
  path: path().optional().describe('Where it stands in the event; its name when left out'),
  type: z.enum(['string', 'number', 'decimal', 'boolean']).default('string'),
  scale: z
    .int()
    .min(0)
    .max(MAX_SCALE)
    .optional()
    .describe('Decimals kept: 2 for decimal and 0 for number when left out'),
  default: z.string().max(256).optional().describe('Takes the place of an absent or null value, written as text'),
  optional: z.boolean().default(false).describe('May be absent: NULL in the raw table; not for group-by or measures'),
})

const event = object({
  id: path().optional().describe('The sale’s identity (string or integer); needed for deduplication'),
  time: object({
    path: path(),
    format: z.enum(['rfc3339', 'epoch']).default('rfc3339'),
    unit: z.enum(['s', 'ms', 'us', 'ns']).default('ms').describe('Of format epoch'),
    zone: text(/^(Z|UTC|[+-](0\d|1[0-4]):[0-5]\d)$/, 'must be UTC or a fixed offset such as -03:00', 6)
      .optional()
      .describe('Taken where the text has none. A fixed offset only: results may not depend on a time-zone database'),
  }),
  fields: keyed(field, 'name', 0, 48).default([]),
  explode: object({ path: path(), fields: keyed(field, 'name', 1, 32) })
    .optional()
    .describe('An array of lines in each event; each line carries its own fields beside the event’s'),
})

const window = object({
  type: z.enum(['tumbling', 'sliding', 'none']).default('tumbling').describe('none: one window over all time'),
  size: duration('10ms').optional(),
  slide: duration('10ms')
    .optional()
    .describe(`Of sliding windows; size is a multiple of it, at most ${MAX_WINDOWS_PER_EVENT} times`),
  offset: duration().optional().describe('Shifts the alignment from the epoch; less than slide or size'),
})

const measure = object({
  name: columnName(),
  op: z.enum(['count', 'sum', 'min', 'max', 'average']),
  of: z
    .string()
    .max(MAX_EXPRESSION)
    .optional()
    .describe('A field or an expression such as quantity * price; for count: lines (default) or events'),
  scale: z.int().min(0).max(MAX_SCALE).optional().describe('Decimals of the result; rounded half-even, per event'),
})

const aggregation = object({
  name: tableName().describe('Also the name of its table'),
  window: window.optional().describe('In place of spec.window'),
  allowedLateness: duration().optional().describe('In place of spec.allowedLateness'),
  groupBy: z.array(identifier()).max(16).meta({ listSet: true }).default([]),
  measures: keyed(measure, 'name', 1, 24),
  retention: duration('1s')
    .optional()
    .describe('By event time, behind every partition’s watermark; kept for ever when left out'),
})

/** More columns than one aggregation can have; bounds what CEL compares. */
const MAX_RENAMED = 48

const elasticsearch = object({
  nodes: z
    .array(
      text(
        /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[A-Za-z0-9._~/-]*)?$/,
        'must be an address such as http://elasticsearch:9200',
        300,
      ),
    )
    .min(1)
    .max(32)
    .default(['http://localhost:9200']),
  usernameSecretRef: secretRef().optional(),
  passwordSecretRef: secretRef().optional(),
  tls: tls().optional(),
  projections: keyed(
    object({
      aggregation: identifier(),
      index: indexName(),
      template: indexName().optional().describe('Name of the index template; the index’s name when left out'),
      fields: z
        .record(z.string(), z.string().min(1).max(200))
        .meta({ maxProperties: MAX_RENAMED })
        .default({})
        .describe('Column → document field, where they differ'),
    }),
    'aggregation',
    1,
    16,
  ),
})

const sinks = optionalObject({
  postgres: optionalObject({
    host: z.string().min(1).max(MAX_DNS_NAME).default('localhost'),
    port: z.int().min(1).max(MAX_PORT).default(5432),
    database: z.string().min(1).max(MAX_POSTGRES_NAME).default('sales'),
    schema: identifier().optional().describe('The pipeline’s own schema; from namespace and name when left out'),
    usernameSecretRef: secretRef().optional(),
    passwordSecretRef: secretRef().optional(),
    tls: tls().optional(),
  }),
  elasticsearch: elasticsearch.optional(),
})

const fraction = () => z.number().min(0).max(1).default(0)

const ingest = optionalObject({
  replicas: z.int().min(0).max(64).default(0).describe('Pods on Kubernetes that take sales over HTTP'),
})

const load = optionalObject({
  onCluster: z.boolean().default(false).describe('Run the generator on Kubernetes, too; npm start always does'),
  rate: z.number().min(0).max(MAX_RATE).default(100).describe('Events per second'),
  profile: z.enum(['ecommerce', 'anomalies', 'black-friday', 'sales-map', 'product-sales']).default('ecommerce'),
  seed: z.int().min(0).default(1),
  startAt: instant().optional().describe('Event time of the first event; now when left out'),
  speed: z.number().min(0.001).max(1_000_000).default(1).describe('Seconds of event time per second'),
  keys: z.int().min(1).max(1_000_000).default(1000).describe('Distinct stores, products or customers'),
  keySkew: z.number().min(0).max(5).default(0).describe('Zipf exponent: 0 is uniform'),
  disorder: optionalObject({ fraction: fraction(), max: duration().prefault('5s') }),
  lateness: optionalObject({ fraction: fraction(), by: duration().prefault('10m') }),
  duplicates: optionalObject({ fraction: fraction(), within: duration().prefault('5s') }),
  malformed: optionalObject({ fraction: fraction() }),
  bursts: object({ every: duration('1s'), lasting: duration('10ms'), factor: z.number().min(1).max(1000) }).optional(),
})

const quantity = () => text(/^\d+(\.\d+)?(m|[KMG]i?)?$/, 'must be a Kubernetes quantity such as 500m or 256Mi', 20)
const resourceList = () => object({ cpu: quantity().optional(), memory: quantity().optional() })

const workers = optionalObject({
  replicas: z.int().min(0).max(MAX_PARTITIONS).default(2),
  autoscale: optionalObject({
    mode: z.enum(['off', 'observe', 'active']).default('off'),
    min: z.int().min(0).max(MAX_PARTITIONS).default(1),
    max: z.int().min(1).max(MAX_PARTITIONS).default(8),
    targetUtilization: z.number().min(0.1).max(0.95).default(0.7),
    catchUpWithin: duration('1s').prefault('2m'),
    stabilization: duration()
      .prefault('5m')
      .describe('The highest need of so long counts before workers are taken away'),
    cooldown: duration().prefault('1m'),
  }),
  resources: optionalObject({ requests: resourceList().optional(), limits: resourceList().optional() }),
})

export const spec = object({
  source,
  event,
  window: window.prefault({ type: 'tumbling', size: '1m' }),
  watermark: optionalObject({
    outOfOrderness: duration().prefault('5s'),
    idleTimeout: duration('100ms').prefault('10s'),
    idle: z
      .enum(['hold', 'advance'])
      .default('hold')
      .describe('What the pipeline watermark does when every partition is idle'),
    maxFutureSkew: duration().prefault('5m').describe('An event further ahead of its record’s timestamp is dead'),
  }),
  allowedLateness: duration().prefault('0ms'),
  aggregations: keyed(aggregation, 'name', 1, 16),
  deduplication: object({
    horizon: duration().prefault('10m').describe('In event time, within a partition'),
    maxIds: z.int().min(1).max(50_000_000).default(1_000_000).describe('Per partition; bounds memory'),
  }).optional(),
  raw: object({ table: tableName(), retention: duration('1s').optional() })
    .optional()
    .describe('Keeps every accepted sale, row by row, beside the aggregates'),
  lateEvents: optionalObject({ retention: duration('1s').optional() }),
  deadLetters: optionalObject({
    maxBytes: size('1Mi').prefault('1Gi').describe('Of stored payloads, over all partitions'),
    whenFull: z.enum(['pause', 'coordinates']).default('coordinates'),
    maxPayload: size('1Ki').prefault('64Ki').describe('A larger record is kept as its prefix and its SHA-256'),
    retention: duration('1s').optional(),
  }),
  sinks,
  commit: optionalObject({
    interval: duration('1ms', '60s').prefault('100ms'),
    maxRecords: z.int().min(1).max(10_000_000).default(200_000),
    maxBytes: size('64Ki').prefault('32Mi'),
  }),
  telemetry: optionalObject({ traceSampling: fraction().prefault(0.01) }),
  load,
  ingest,
  workers,
  deletionPolicy: z
    .enum(['retain', 'delete'])
    .default('retain')
    .describe('What becomes of the topic and the results when the pipeline is deleted from Kubernetes'),
})

export const document = object({
  apiVersion: z.literal(API_VERSION, { error: `must be ${API_VERSION}` }),
  kind: z.literal(KIND, { error: `must be ${KIND}` }),
  metadata: z
    .looseObject({ name: pipelineName(), namespace: dnsLabel().default('default') })
    .describe('The usual Kubernetes metadata'),
  spec,
})

export type SalesPipeline = z.output<typeof document>
export type Spec = SalesPipeline['spec']
export type Field = z.output<typeof field>
export type Window = z.output<typeof window>
export type Aggregation = z.output<typeof aggregation>
export type Measure = z.output<typeof measure>
export type Load = Spec['load']
export type SecretRef = z.output<ReturnType<typeof secretRef>>
export type Projection = z.output<typeof elasticsearch>['projections'][number]
