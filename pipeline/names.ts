/** Names in a spec become PostgreSQL identifiers, Kafka topics and Elasticsearch indices: validated here, quoted there. */
import { noneOf, text } from './rules.ts'

/** PostgreSQL cuts identifiers at 63 bytes; an average `x` also needs the column `x_count`: 63 - 6 = 57. */
const IDENTIFIER = /^[a-z_][a-z0-9_]{0,56}$/
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/
/** Elasticsearch: lower case, no leading - _ +, none of \ / * ? " < > | , # : or blanks. */
const INDEX = /^[a-z0-9][a-z0-9._-]{0,199}$/
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const SECRET = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
/** A Service's name has at most 63 characters and starts with a letter; ours add a suffix such as -processor. */
export const MAX_NAME = 40
export const PIPELINE_NAME = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/

/** Tables that every pipeline's schema holds; an aggregation may not take their names. */
export const RESERVED_TABLES = [
  'aggregations',
  'dead_letters',
  'late_events',
  'migrations',
  'outbox',
  'pipeline',
  'progress',
  'progress_aggregations',
  'projection_errors',
  'spec_history',
  'specs',
] as const

/** Columns that the engine adds to aggregate and raw tables; a field or measure may not take their names. */
export const RESERVED_COLUMNS = [
  'window_start',
  'window_end',
  'version',
  'final',
  'reopened',
  'created_at',
  'updated_at',
  'partition',
  'record_offset',
  'line',
  'event_time',
] as const

export const identifier = () =>
  text(
    IDENTIFIER,
    'must be a lower-case identifier: a-z, 0-9 and _, not starting with a digit, at most 57 characters',
    57,
  ).meta({ label: 'identifier' })

export const columnName = () =>
  noneOf(
    identifier(),
    RESERVED_COLUMNS,
    `is a column that the engine adds itself; choose another name than ${RESERVED_COLUMNS.join(', ')}`,
  ).meta({ label: 'column name' })

export const tableName = () =>
  noneOf(
    identifier(),
    RESERVED_TABLES,
    `is a table that the engine keeps itself; choose another name than ${RESERVED_TABLES.join(', ')}`,
  ).meta({ label: 'table name' })

export const topicName = () =>
  noneOf(
    text(TOPIC, 'must be a Kafka topic name: letters, digits, . _ -, at most 249 characters', 249),
    ['.', '..'],
    'may not be . or ..',
  ).meta({ label: 'topic name' })

export const indexName = () =>
  text(
    INDEX,
    'must be an Elasticsearch name: lower-case letters, digits, . _ -, starting with a letter or digit, at most 200 characters',
    200,
  ).meta({ label: 'index name' })

export const dnsLabel = () =>
  text(DNS_LABEL, 'must be a DNS label: lower-case letters, digits and -, at most 63 characters', 63).meta({
    label: 'DNS label',
  })

export const secretName = () =>
  text(SECRET, 'must be the name of a Secret: lower-case letters, digits, - and ., at most 253 characters', 253).meta({
    label: 'Secret name',
  })

export const pipelineName = () =>
  text(
    PIPELINE_NAME,
    `must be lower-case letters, digits and -, start with a letter, and have at most ${MAX_NAME} characters, so that the names of what is made for it fit`,
    MAX_NAME,
  ).meta({ label: 'pipeline name' })
