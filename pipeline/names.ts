/** Names in a spec become PostgreSQL identifiers, Kafka topics and Elasticsearch indices: validated here, quoted there. */
import { z } from 'zod'

/** PostgreSQL cuts identifiers at 63 bytes; an average `x` also needs the column `x_count`: 63 - 6 = 57. */
const IDENTIFIER = /^[a-z_][a-z0-9_]{0,56}$/
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/
/** Elasticsearch: lower case, no leading - _ +, none of \ / * ? " < > | , # : or blanks. */
const INDEX = /^[a-z0-9][a-z0-9._-]{0,199}$/
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

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
  z
    .string()
    .regex(
      IDENTIFIER,
      'must be a lower-case identifier: a-z, 0-9 and _, not starting with a digit, at most 57 characters',
    )

export const columnName = () =>
  identifier().refine(name => !(RESERVED_COLUMNS as readonly string[]).includes(name), {
    error: `is a column that the engine adds itself; choose another name than ${RESERVED_COLUMNS.join(', ')}`,
  })

export const tableName = () =>
  identifier().refine(name => !(RESERVED_TABLES as readonly string[]).includes(name), {
    error: `is a table that the engine keeps itself; choose another name than ${RESERVED_TABLES.join(', ')}`,
  })

export const topicName = () =>
  z
    .string()
    .regex(TOPIC, 'must be a Kafka topic name: letters, digits, . _ -, at most 249 characters')
    .refine(name => name !== '.' && name !== '..', { error: 'may not be . or ..' })

export const indexName = () =>
  z
    .string()
    .regex(INDEX, 'must be an Elasticsearch name: lower-case letters, digits, . _ -, starting with a letter or digit')

export const dnsLabel = () =>
  z.string().regex(DNS_LABEL, 'must be a DNS label: lower-case letters, digits and -, at most 63 characters')
