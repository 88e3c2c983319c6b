/**
 * Bounds, defaults and timeouts that several programs or checks share: the schema, the CRD, the chart, the engine and
 * the ingest must agree on them. A limit that only one module uses stays in that module.
 */

/** Bytes of a name in PostgreSQL, which truncates longer ones. */
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
/** Partitions of a topic that we create when the spec sets no number. */
export const DEFAULT_PARTITIONS = 8
/** Events per second that the load generator may be asked for. */
export const MAX_RATE = 1_000_000

/** Windows that one event may fall into. It bounds the cost of an event (contract, section 5). */
export const MAX_WINDOWS_PER_EVENT = 64
/** Decimals of a field or a result. A result with more is rounded half-even, to fewer if its measure says so. */
export const MAX_SCALE = 12
/** Decimals of a field of type decimal without a scale; other fields have none. */
export const DEFAULT_DECIMAL_SCALE = 2

/** Digits before the decimal point; a number with more is a dead letter. It bounds sums and hostile exponents. */
export const MAX_INTEGER_DIGITS = 30
/**
 * Levels of nested arrays and objects; an event with more is a dead letter. It bounds the recursion of every reader,
 * far below a stack overflow and far above what sales need.
 */
export const MAX_JSON_DEPTH = 500
/**
 * Values of one event, nested ones included; an event with more is a dead letter. A parsed value takes a hundred times the
 * memory and time of its bytes. 10,000 lines with 40 fields each are below the limit.
 */
export const MAX_JSON_VALUES = 500_000
/** Bytes of UTF-8 of all values that one row groups by; an event with more is a dead letter. PostgreSQL indexes at most 2,700. */
export const MAX_KEY_BYTES = 1024
/** Event times, ms since the epoch: 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, as RFC 3339 can write them. */
export const FIRST_EVENT_TIME = -62_135_596_800_000
export const LAST_EVENT_TIME = 253_402_300_799_999

/** Event times before this are dead letters, unless the spec sets another bound: programs write 0001 and 1900 for "no time". */
export const DEFAULT_NOT_BEFORE = '1970-01-01T00:00:00Z'

/** Safe together: an event time is at most twice the skew ahead of the broker's clock (contract, section 5). */
export const DEFAULT_MAX_FUTURE_SKEW = '30s'
export const DEFAULT_OUT_OF_ORDERNESS = '1m'

/** Sources that may have to agree (spec.watermark.sources), and characters of a source; both bound the stored state. */
export const MAX_SOURCES = 16
export const MAX_SOURCE_LENGTH = 128

/** Event times this long before the timestamps of their records are reported: 3650 days. */
export const DEFAULT_MAX_PAST_SKEW = '3650d'

/** Bytes of a batch that our topics and brokers accept: a record of 10 MB must arrive to become a dead letter. */
export const MAX_MESSAGE_BYTES = 32 * 1024 ** 2

/**
 * Bytes of one record in the log; a longer one is a dead letter. A compressed record can be a thousand times longer than
 * what the broker measured, and a worker must hold a record whole to read it.
 */
export const MAX_RECORD_BYTES = 16 * 1024 ** 2

/** Port of a worker's metrics and probes. The chart's NetworkPolicies name it, too. */
export const WORKER_PORT = 8080
/** Port on which a worker removes dead members of its group for the operator. The chart's NetworkPolicy names it, too. */
export const MEMBERS_PORT = 8083
/** Port of the operator's metrics and probes. The chart's Deployment names it, too. */
export const OPERATOR_PORT = 8081
/** Port of the REST ingest. */
export const INGEST_PORT = 8000
/** Port of its metrics, probes and documentation in pods. */
export const INGEST_METRICS_PORT = 8082

/** A worker without a heartbeat for this long loses its partitions, ms. It is the shortest time that brokers allow by default. */
export const SESSION_TIMEOUT_MS = 6000
/** The shortest session timeout that a worker accepts, ms; our brokers allow it. */
export const MIN_SESSION_TIMEOUT_MS = 1000
/** A worker exits within this time after SIGTERM, ms. Wait longer before killing it. */
export const WORKER_EXIT_MS = 5000
/** A client gives up when Kafka or its topic is unavailable for this long, ms. A broker restarts within it. */
export const KAFKA_OPEN_MS = 30_000

/** Pipelines that the operator reconciles at a time. */
export const DEFAULT_CONCURRENCY = 8
export const MAX_CONCURRENCY = 100
