/** Names in a spec that become PostgreSQL identifiers, Kafka topics or Elasticsearch indices. Each user also quotes them. */
import { MAX_DNS_LABEL, MAX_DNS_NAME, MAX_IDENTIFIER, MAX_TOPIC_NAME } from './limits.ts'
import { noneOf, text } from './rules.ts'

const IDENTIFIER = new RegExp(`^[a-z_][a-z0-9_]{0,${MAX_IDENTIFIER - 1}}$`)
const TOPIC = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_TOPIC_NAME}}$`)
/** Elasticsearch: lower case, no leading - _ +, none of \ / * ? " < > | , # : or blanks. */
const INDEX = /^[a-z0-9][a-z0-9._-]{0,199}$/
const DNS_LABEL = new RegExp(`^[a-z0-9]([a-z0-9-]{0,${MAX_DNS_LABEL - 2}}[a-z0-9])?$`)
const SECRET = new RegExp(`^[a-z0-9]([a-z0-9.-]{0,${MAX_DNS_NAME - 2}}[a-z0-9])?$`)
/** A Service's name has at most 63 characters and starts with a letter. The operator adds suffixes such as -processor. */
const MAX_NAME = 40
export const PIPELINE_NAME = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/
export const PIPELINE_NAME_RULE = `must contain only lower-case letters, digits and "-"; must start with a letter; must not end with "-"; at most ${MAX_NAME} characters`

/** The name of an object's prototype in JavaScript, so no field or table has it. */
export const PROTOTYPE = '__proto__'

/**
 * Tables, and the indexes and sequences that PostgreSQL names, in every pipeline's schema. An aggregation and the raw table
 * must not have one of their names. A test compares them with a real schema.
 */
export const RESERVED_TABLES = [
  PROTOTYPE,
  'aggregations',
  'aggregations_pkey',
  'dead_letters',
  'dead_letters_pkey',
  'expelled',
  'expelled_pkey',
  'late_events',
  'late_events_pkey',
  'migrations',
  'migrations_pkey',
  'outbox',
  'outbox_pkey',
  'outbox_seq_seq',
  'pipeline',
  'pipeline_is_one_row',
  'progress',
  'progress_aggregations',
  'progress_aggregations_pkey',
  'progress_pkey',
  'projection_errors',
  'spec_history',
  'spec_history_pkey',
  'specs',
  'specs_pkey',
] as const

/** Columns that every table of PostgreSQL has. */
export const SYSTEM_COLUMNS = ['cmax', 'cmin', 'ctid', 'tableoid', 'xmax', 'xmin'] as const

/** Columns that aggregate and raw tables have anyway; a field or measure must not have one of their names. */
export const RESERVED_COLUMNS = [
  ...SYSTEM_COLUMNS,
  PROTOTYPE,
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
    `must not be a reserved column name (${RESERVED_COLUMNS.join(', ')}); choose another name`,
  ).meta({ label: 'column name' })

export const tableName = () =>
  noneOf(
    identifier(),
    RESERVED_TABLES,
    `must not be a reserved table name (${RESERVED_TABLES.join(', ')}); choose another name`,
  ).meta({ label: 'table name' })

export const topicName = () =>
  noneOf(
    text(
      TOPIC,
      `must be a Kafka topic name: only letters, digits, ".", "_" and "-", at most ${MAX_TOPIC_NAME} characters`,
      MAX_TOPIC_NAME,
    ),
    ['.', '..'],
    'must not be "." or ".."; choose another name',
  ).meta({ label: 'topic name' })

export const indexName = () =>
  text(
    INDEX,
    'must be an index or template name: only lower-case letters, digits, ".", "_" and "-", starting with a letter or digit, at most 200 characters',
    200,
  ).meta({ label: 'index name' })

export const dnsLabel = () =>
  text(
    DNS_LABEL,
    `must be a DNS label: only lower-case letters, digits and "-", neither starting nor ending with "-", at most ${MAX_DNS_LABEL} characters`,
    MAX_DNS_LABEL,
  ).meta({
    label: 'DNS label',
  })

export const secretName = () =>
  text(
    SECRET,
    `must be the name of a Secret: only lower-case letters, digits, "-" and ".", starting and ending with a letter or digit, at most ${MAX_DNS_NAME} characters`,
    MAX_DNS_NAME,
  ).meta({
    label: 'Secret name',
  })

export const pipelineName = () => text(PIPELINE_NAME, PIPELINE_NAME_RULE, MAX_NAME).meta({ label: 'pipeline name' })

/** The column that marks rows of partial windows. Releases up to 0.3.0 accepted it as the name of a field or measure. */
export const PARTIAL = 'partial'

/** Returns the name, with as many leading _ as it needs to differ from the taken ones. */
export function freeName(name: string, taken: string[]): string {
  return taken.includes(name) ? freeName(`_${name}`, taken) : name
}

/** Returns the field of a document that shows a column. `renamed`: spec.sinks.elasticsearch.projections[].fields. */
export function documentField(renamed: Record<string, string> | undefined, column: string): string {
  return renamed && Object.hasOwn(renamed, column) ? renamed[column]! : column
}
