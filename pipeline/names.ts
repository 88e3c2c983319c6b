/** Names in a spec become PostgreSQL identifiers, Kafka topics and Elasticsearch indices: validated here, quoted there. */
import { MAX_DNS_LABEL, MAX_DNS_NAME, MAX_IDENTIFIER, MAX_TOPIC_NAME } from './limits.ts'
import { noneOf, text } from './rules.ts'

const IDENTIFIER = new RegExp(`^[a-z_][a-z0-9_]{0,${MAX_IDENTIFIER - 1}}$`)
const TOPIC = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_TOPIC_NAME}}$`)
/** Elasticsearch: lower case, no leading - _ +, none of \ / * ? " < > | , # : or blanks. */
const INDEX = /^[a-z0-9][a-z0-9._-]{0,199}$/
const DNS_LABEL = new RegExp(`^[a-z0-9]([a-z0-9-]{0,${MAX_DNS_LABEL - 2}}[a-z0-9])?$`)
const SECRET = new RegExp(`^[a-z0-9]([a-z0-9.-]{0,${MAX_DNS_NAME - 2}}[a-z0-9])?$`)
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
    `must be a lower-case identifier: a-z, 0-9 and _, not starting with a digit, at most ${MAX_IDENTIFIER} characters`,
    MAX_IDENTIFIER,
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
    text(
      TOPIC,
      `must be a Kafka topic name: letters, digits, . _ -, at most ${MAX_TOPIC_NAME} characters`,
      MAX_TOPIC_NAME,
    ),
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
  text(
    DNS_LABEL,
    `must be a DNS label: lower-case letters, digits and -, at most ${MAX_DNS_LABEL} characters`,
    MAX_DNS_LABEL,
  ).meta({
    label: 'DNS label',
  })

export const secretName = () =>
  text(
    SECRET,
    `must be the name of a Secret: lower-case letters, digits, - and ., at most ${MAX_DNS_NAME} characters`,
    MAX_DNS_NAME,
  ).meta({
    label: 'Secret name',
  })

export const pipelineName = () =>
  text(
    PIPELINE_NAME,
    `must be lower-case letters, digits and -, start with a letter, and have at most ${MAX_NAME} characters, so that the names of what is made for it fit`,
    MAX_NAME,
  ).meta({ label: 'pipeline name' })
