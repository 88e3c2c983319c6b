/** `spec.sinks`: where results are stored. */

import { z } from 'zod'
import { MAX_DNS_NAME, MAX_PORT, MAX_POSTGRES_NAME } from '../limits.ts'
import { identifier, indexName } from '../names.ts'
import { object, optionalObject } from '../object.ts'
import { keyed, text } from '../rules.ts'
import { insecure, secretRef, tls } from './common.ts'
import { readers } from './readers.ts'

/** More columns than one aggregation can have. It bounds CEL's cost estimate. */
const MAX_RENAMED = 48

const NODE = /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[A-Za-z0-9._~/-]*)?$/

const projection = object({
  aggregation: identifier().describe('Name of the aggregation'),
  index: indexName().describe('Index to write to, one document per row'),
  template: indexName().optional().describe('Name of the index template. If left out, the name of the index'),
  adopt: z.boolean().default(false).meta({
    description:
      'Whether to write into an existing index that this pipeline did not create and that belongs to no other pipeline. Only fields are added to it; it is never deleted, only the documents of this pipeline in it',
    example: true,
  }),
  fields: z
    .record(z.string(), z.string().min(1).max(200))
    .meta({ maxProperties: MAX_RENAMED })
    .default({})
    .describe(
      'Map from the name of a column to the name of its field in the index, for columns whose names differ there',
    ),
})

const elasticsearch = object({
  nodes: z
    .array(text(NODE, 'must be an address such as http://elasticsearch:9200', 300).meta({ label: 'address' }))
    .min(1)
    .max(32)
    .default(['http://localhost:9200'])
    .meta({ localDefault: true, description: 'Addresses of the Elasticsearch nodes. Required on Kubernetes' }),
  usernameSecretRef: secretRef('the user name').optional(),
  passwordSecretRef: secretRef('the password').optional(),
  tls: tls('Settings of encrypted connections. All addresses must then begin with https').optional(),
  insecure: insecure('the user name and the password to addresses that begin with http and are not on this machine'),
  projections: keyed(projection, 'aggregation', 1, 16).describe('Which aggregations to write, and to which index'),
}).describe('Elasticsearch. Results are copied to it from PostgreSQL. If left out, no results are copied')

const postgres = optionalObject({
  host: z
    .string()
    .min(1)
    .max(MAX_DNS_NAME)
    .default('localhost')
    .meta({ localDefault: true, description: 'Host name of the server, without the port. Required on Kubernetes' }),
  port: z.int().min(1).max(MAX_PORT).default(5432).describe('TCP port of the server'),
  database: z.string().min(1).max(MAX_POSTGRES_NAME).default('sales').describe('Database, which must exist'),
  schema: identifier().optional().meta({
    description:
      'Schema for the tables of this pipeline; no other pipeline may use it. If left out: NAMESPACE_NAME_HASH, or only NAME in the namespace default; each - becomes _. The hash makes the name unique. A schema NAMESPACE_NAME that a release up to 0.3.0 created for this pipeline stays in use',
    example: 'shop_ecommerce',
  }),
  usernameSecretRef: secretRef('the user name').optional(),
  passwordSecretRef: secretRef('the password').optional(),
  tls: tls('Encrypts connections to the server. If left out, connections are not encrypted').optional(),
  insecure: insecure('the password to a server that is not on this machine'),
  readers: readers(),
}).describe('PostgreSQL 14 or newer, which stores results and progress')

export const sinks = optionalObject({ postgres, elasticsearch: elasticsearch.optional() }).describe(
  'Where results are stored',
)

export type Projection = z.output<typeof projection>
