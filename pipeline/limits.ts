/**
 * Bounds, defaults and time-outs that bind several programs or stand in several checks: the schema, the CRD, the chart,
 * the engine and the ingest must agree on them. A limit that one module alone uses stays in that module.
 */

/** Bytes of a name in PostgreSQL, which cuts longer ones. */
export const MAX_POSTGRES_NAME = 63
/** Characters of a table or column that a spec names: an average `x` also needs the column `x_count`. */
export const MAX_IDENTIFIER = MAX_POSTGRES_NAME - '_count'.length
/** Characters of a Kafka topic's name: Kafka's own limit. */
export const MAX_TOPIC_NAME = 249
/** Characters of a DNS name, and so of a host, a Secret's name or its key. */
export const MAX_DNS_NAME = 253
/** Characters of one label of a DNS name: a namespace, a Service. */
export const MAX_DNS_LABEL = 63
/** TCP and UDP ports have 16 bits. */
export const MAX_PORT = 65_535

/** Partitions of a topic, and therefore workers: a worker without a partition does nothing. */
export const MAX_PARTITIONS = 1024
/** Partitions of a topic that we create when nobody says how many. */
export const DEFAULT_PARTITIONS = 8
/** Events per second that the load generator may be asked for. */
export const MAX_RATE = 1_000_000

/** Windows that one event may fall into: more cost more than they are worth (contract, section 5). */
export const MAX_WINDOWS_PER_EVENT = 64
/** Decimals of a field or a result. A result with more is rounded half-even to this many, unless its measure says fewer. */
export const MAX_SCALE = 12
/** Decimals of a field of type decimal whose scale is left out; other fields have none. */
export const DEFAULT_DECIMAL_SCALE = 2

/** Digits before the decimal point; a number with more is dead. Bounds sums, and what a hostile exponent can blow up. */
export const MAX_INTEGER_DIGITS = 30
/**
 * Arrays and objects within each other; an event with more is dead. Bounds the recursion of every reader,
 * far below what overflows a stack and far above what sales need.
 */
export const MAX_JSON_DEPTH = 500
/** Bytes of UTF-8 of all values that one row groups by; more is dead. PostgreSQL indexes at most about 2,700. */
export const MAX_KEY_BYTES = 1024
/** Event times, ms since the epoch: 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, as RFC 3339 can write them. */
export const FIRST_EVENT_TIME = -62_135_596_800_000
export const LAST_EVENT_TIME = 253_402_300_799_999

/** Bytes of a batch that a topic and brokers of ours accept: a record of 10 MB must get through to its dead letter. */
export const MAX_MESSAGE_BYTES = 32 * 1024 ** 2

/** Port of a worker's metrics and probes. The chart's NetworkPolicies name it, too. */
export const WORKER_PORT = 8080
/** Port of the operator's metrics and probes. The chart's Deployment names it, too. */
export const OPERATOR_PORT = 8081
/** Port of the REST ingest. */
export const INGEST_PORT = 8000

/** A worker that is silent for so long loses its partitions, ms: the least that a broker allows by default. */
export const SESSION_TIMEOUT_MS = 6000
/** The shortest session time-out that a worker accepts, ms; brokers of ours allow it. */
export const MIN_SESSION_TIMEOUT_MS = 1000
/** A worker exits within this after SIGTERM, ms; whoever stops one must wait longer before killing it. */
export const WORKER_EXIT_MS = 5000
/** A client waits this long for Kafka and its topic before it gives up, ms: a broker needs that to restart. */
export const KAFKA_OPEN_MS = 30_000

/** Pipelines that the operator reconciles at a time. */
export const DEFAULT_CONCURRENCY = 8
export const MAX_CONCURRENCY = 100
