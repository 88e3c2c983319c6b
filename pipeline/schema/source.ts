/** `spec.source`: the topic, and how to connect to its cluster. */

import { z } from 'zod'
import { DEFAULT_PARTITIONS, MAX_PARTITIONS } from '../limits.ts'
import { dnsLabel, topicName } from '../names.ts'
import { object } from '../object.ts'
import { text } from '../rules.ts'
import { insecure, startingPoint, tls } from './common.ts'
import { STRIMZI_USER, sasl } from './kafka-authentication.ts'

const endpoint = () =>
  text(/^[A-Za-z0-9.-]+:\d{1,5}$/, 'must be host:port, such as kafka.shop.svc:9092', 260).meta({ label: 'host:port' })

const strimzi = object({
  cluster: dnsLabel().describe('Name of the Kafka resource'),
  namespace: dnsLabel().optional().meta({
    description:
      'Namespace of the Kafka resource. If left out, the namespace of the pipeline. Another namespace must allow it: by its annotation salespipeline.dev/topics-from, or by a setting of the operator',
    example: 'kafka',
  }),
  replicas: z.int().min(1).max(7).optional().meta({
    description: 'Replicas of each partition. If left out, the default of the Kafka cluster',
    example: 3,
  }),
}).describe(
  'Set this if Strimzi runs the Kafka cluster. On Kubernetes the SalesPipeline operator then creates the KafkaTopic, unless the topic has one already: that one is used, but never changed or deleted',
)

export const source = object({
  bootstrapServers: z.array(endpoint()).min(1).max(32).default(['localhost:9092']).meta({
    localDefault: true,
    description:
      'Kafka brokers for the first connection. The clients discover the other brokers from them. Required on Kubernetes',
  }),
  topic: topicName().describe('Topic that holds the sales. Its cleanup policy must not be compact. Cannot be changed'),
  partitions: z
    .int()
    .min(1)
    .max(MAX_PARTITIONS)
    .default(DEFAULT_PARTITIONS)
    .describe('Number of partitions if the operator or npm start creates the topic. Can only be raised'),
  startFrom: startingPoint()
    .default('earliest')
    .describe(
      'Where to begin reading. For each partition it is resolved to an offset only once, when a worker first claims the partition. A partition that is added to the topic later is always read from its first record. Cannot be changed',
    ),
  offsetOutOfRange: z
    .enum(['stop', 'skip'])
    .default('stop')
    .describe(
      'What to do when retention deleted records before they were read. stop: halt the partition and report the lost offsets. skip: continue after the lost offsets and report them with the reason OffsetsSkipped',
    ),
  strimzi: strimzi.optional(),
  tls: tls('Encrypts connections to the brokers. If left out, connections are not encrypted', STRIMZI_USER).optional(),
  sasl: sasl.optional(),
  insecure: insecure('the credentials in sasl to the brokers'),
}).describe('Where the sales come from: a Kafka topic')
