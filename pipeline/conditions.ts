/**
 * Every reason that a condition of a pipeline can have. TypeScript types, alert rules and the runbook's tables are derived
 * from this table. The names are API: renaming one is a breaking change (CHANGELOG.md).
 */

export type ConditionType =
  | 'Ready'
  | 'Accepted'
  | 'WorkersReady'
  | 'Progressing'
  | 'Reconciling'
  | 'Stalled'
  | 'Autoscaling'
  | 'Notice'

type Text = {
  /** A clause in Markdown. The message that `kubectl describe` shows also names the object and the value. */
  meaning: string
  /** What the on-call engineer should do. Markdown; links are relative to docs/operations.md. */
  action: string
}

type Traits = {
  raisedBy: 'worker' | 'operator'
  /** The conditions of the resource that can have this reason. */
  types: readonly ConditionType[]
  /** While it is raised, results do not reach every sink. */
  blocking: boolean
  /** The only sink that receives no results; omitted if no sink receives any. */
  sink?: 'elasticsearch'
  /** Part of normal operation: the operator's Event about it is no Warning. */
  expected?: boolean
  /** The alert that fires for it (grafana/alerts.yaml), or null. */
  alert: string | null
}

export type ConditionInfo = Text & Traits

function define<Code extends string>(
  shared: Traits,
  entries: Record<Code, Text & Partial<Traits>>,
): Record<Code, ConditionInfo> {
  const defined = Object.entries<Text & Partial<Traits>>(entries).map(([code, own]) => [code, { ...shared, ...own }])
  return Object.fromEntries(defined)
}

/** A worker, or one of its partitions, stops until an engineer acts. */
const FATAL = define(
  { raisedBy: 'worker', types: ['Ready', 'WorkersReady', 'Stalled'], blocking: true, alert: 'SalesPipelineBlocked' },
  {
    AccessDenied: {
      meaning: 'Kafka or PostgreSQL rejects the user, its password, its certificate or its permissions',
      action:
        'correct the Secret (see [Rotate a Secret](#rotate-a-secret)), or grant the permission that the message names',
    },
    PoolerUnsupported: {
      meaning:
        'the connection pooler in front of PostgreSQL is in statement mode, or refuses a parameter of the connection',
      action: 'change the pooler as the message says; see [Connection poolers](poolers.md)',
    },
    SchemaTooNew: {
      meaning: 'a newer release has migrated the tables',
      action: 'run the release that migrated the tables, or a newer one',
    },
    SchemaOwnedByOther: {
      meaning: 'the PostgreSQL schema belongs to another pipeline or application',
      action: 'set `spec.sinks.postgres.schema` to another schema name',
    },
    AggregationChanged: {
      meaning: 'the spec would change the meaning of rows that are already stored',
      action: 'give the changed aggregation a new name',
    },
    MeasureUnclear: {
      meaning:
        'a new aggregation adds an amount of the whole record, but does not say whether once per record or per line',
      action: 'set `per` of the measure that the message names to `events` or `lines`',
    },
    ColumnReserved: {
      meaning:
        'a new aggregation names a measure or a group-by field `partial`, as the column that marks partial windows',
      action: 'give the measure or field that the message names another name; the field can keep its data with `path`',
    },
    GenerationOutdated: {
      types: ['Ready', 'WorkersReady'],
      meaning: 'the worker uses an older version of the spec than the version stored in PostgreSQL',
      action: 'nothing: the rollout replaces this worker',
    },
    TopicReplaced: {
      meaning: 'the topic was deleted and created again, so stored offsets no longer refer to its records',
      action: '[start over with an empty schema](#start-over-with-an-empty-schema)',
    },
    TopicCompacted: {
      meaning: "the topic's `cleanup.policy` includes `compact`, which removes sales",
      action:
        'set it to `delete`, and find out since when it included `compact`: sales that compaction has already removed stay missing',
    },
    LogTruncated: {
      meaning: 'Kafka lost records that are already counted (unclean leader election)',
      action:
        'if you have a copy of the topic with the same offsets, restore it; otherwise [start over with an empty schema](#start-over-with-an-empty-schema)',
    },
    OffsetOutOfRange: {
      meaning: 'retention removed records before they were read',
      action:
        'if you have a copy of the topic with the same offsets, restore it; otherwise set `spec.source.offsetOutOfRange: skip`: the missing records stay missing. Set `stop` again when the workers continue',
    },
    CorruptBatch: {
      meaning: 'a record batch fails its checksum or cannot be decoded',
      action: "check the broker's disk; restore the partition from a replica",
    },
    MessageFormatUnsupported: {
      meaning: 'the topic has records in message format 0 or 1, which producers before Kafka 0.11 wrote',
      action:
        'copy the records to a new topic with a current producer, and create a pipeline with an empty schema for that topic',
    },
    RemovedFromGroup: {
      types: ['Ready', 'WorkersReady'],
      meaning: 'the worker was considered dead and removed from the consumer group, but it is still running',
      action: 'nothing: the worker exits and restarts',
    },
  },
)

/** Results do not reach every sink, or cannot be trusted; the worker keeps running. */
const BLOCKING = define(
  { raisedBy: 'worker', types: ['Ready'], blocking: true, alert: 'SalesPipelineBlocked' },
  {
    SourceUnavailable: { meaning: 'Kafka does not respond', action: 'repair Kafka; workers continue automatically' },
    TopicMissing: { meaning: 'the topic does not exist', action: 'create it; workers continue automatically' },
    StoreUnavailable: {
      meaning: 'PostgreSQL does not respond',
      action: 'repair PostgreSQL; workers continue automatically',
    },
    ProjectionBehind: {
      sink: 'elasticsearch',
      meaning: 'Elasticsearch does not respond or is too slow',
      action: 'see [SalesPipelineProjectionBehind](#salespipelineprojectionbehind)',
    },
    IndexOwnedByOther: {
      sink: 'elasticsearch',
      meaning:
        'an index or index template of a projection belongs to another pipeline, or nobody has allowed its adoption. Nothing is written to Elasticsearch',
      action:
        'set another `index` or `template` in `spec.sinks.elasticsearch.projections`. For an index without an owner you can also set `adopt: true`',
    },
    ProjectionRejected: {
      sink: 'elasticsearch',
      alert: 'SalesPipelineProjectionRejects',
      meaning: 'Elasticsearch permanently rejects some documents',
      action: 'see [SalesPipelineProjectionRejects](#salespipelineprojectionrejects)',
    },
    ProjectionRebuilding: {
      sink: 'elasticsearch',
      alert: 'SalesPipelineProjectionBehind',
      meaning:
        'all rows of an index are written to Elasticsearch again: the index lacks documents, PostgreSQL failed over, or somebody requested it. Until the end, documents are missing or outdated',
      action: 'wait; see [Rebuild a projection](#rebuild-a-projection)',
    },
    ConservationViolated: {
      alert: 'SalesPipelineConservationViolated',
      meaning: 'the counts of records do not add up',
      action: 'see [SalesPipelineConservationViolated](#salespipelineconservationviolated)',
    },
    DeadLettersPaused: {
      meaning: '`spec.deadLetters.maxBytes` is reached and `spec.deadLetters.whenFull` is `pause`',
      action: 'raise the limit, or [delete old dead letters](#salespipelinedeadletters)',
    },
  },
)

/** Everything runs, with a weaker guarantee. */
const INFORMING = define(
  { raisedBy: 'worker', types: ['Notice'], blocking: false, alert: 'SalesPipelineGuaranteeWeakened' },
  {
    DeadLettersFull: {
      meaning: 'new dead letters are stored without their bytes',
      action:
        'examine the dead letters; raise `spec.deadLetters.maxBytes`, or [delete old dead letters](#salespipelinedeadletters)',
    },
    DeduplicationBounded: {
      meaning:
        'some ids were forgotten before `spec.deduplication.horizon` had passed; duplicates of these records are counted again',
      action: 'raise `spec.deduplication.maxIds` and also the memory limit',
    },
    DeduplicationHistoryUnavailable: {
      meaning: 'duplicates of records that retention has removed cannot be detected',
      action: "set the topic's retention to more than `spec.deduplication.horizon`",
    },
    OffsetsSkipped: {
      meaning: 'records that retention removed before they were read are missing from the results',
      action: 'find out why workers were stopped or slow for so long; extend the retention of the topic',
    },
    OpenTransaction: {
      meaning:
        'a producer has kept a Kafka transaction open for more than 30 s; the records after its start do not reach the results before it ends',
      action: 'see [Open transactions](#open-transactions)',
    },
    WeakFutureGuard: {
      alert: null,
      meaning: 'the topic accepts timestamps so far ahead that one wrong clock can close windows early',
      action: 'change the topic setting that the message names',
    },
    ReadersNotGranted: {
      alert: null,
      meaning:
        'a role of `spec.sinks.postgres.readers` cannot read the results: it does not exist, or the user of the pipeline must not grant it the permission',
      action:
        'do what the message says, such as `CREATE ROLE`; the workers grant the permission within a minute. See [Security](security.md)',
    },
    AddedPerLine: {
      alert: null,
      meaning:
        'an aggregation that a release up to 0.3.0 created adds an amount of the whole record once per line, so an order of 10.00 with two lines adds 20.00',
      action:
        'if this is meant, set `per: lines`; otherwise replace the aggregation by one with another name and `per: events`',
    },
    ManyDeadLetters: {
      alert: null,
      meaning: 'many records of the last minute are dead letters for the same reason',
      action: 'do what the message says; [SalesPipelineDeadLetters](#salespipelinedeadletters) shows examples',
    },
    ManyLateEvents: {
      alert: null,
      meaning: 'many events of the last minute are late for the same aggregation',
      action: 'do what the message says; see [SalesPipelineLateEvents](#salespipelinelateevents)',
    },
    WatermarkFarAhead: {
      alert: null,
      meaning:
        'in the last minute, few records of a partition moved its watermark, and it made many events late that arrived in time: the clock of a producer is ahead',
      action: 'do what the message says; see [Clocks that are ahead](#clocks-that-are-ahead)',
    },
    EventTimesFarBehind: {
      alert: null,
      meaning:
        'events of the last minute have an event time more than `spec.watermark.maxPastSkew` before the timestamp of their record; most often, seconds are read as milliseconds',
      action: 'correct the producer, or create another pipeline with the unit that the message names',
    },
    PartitionsAdded: {
      alert: null,
      meaning:
        'the topic has more partitions than before; a sale that is sent once before and again after the change may be counted twice',
      action: 'nothing; the risk ends once no producer resends sales from before the change',
    },
  },
)

/** The spec cannot be carried out, or a deletion is under way. */
const OBSTACLES = define(
  { raisedBy: 'operator', types: ['Ready', 'Accepted'], blocking: true, alert: 'SalesPipelineNotReady' },
  {
    SpecInvalid: {
      types: ['Ready', 'Accepted', 'Stalled'],
      meaning: 'the spec is invalid; the message lists every error',
      action: 'correct it',
    },
    ObjectConflict: {
      types: ['Ready', 'Accepted', 'Stalled'],
      meaning: 'an object with a required name exists and does not belong to this pipeline',
      action:
        'find the owner of that object. If nobody needs it, delete it; otherwise create the pipeline under another name',
    },
    ApplyRejected: {
      meaning: 'the API server rejects an object',
      action: 'read the message; correct the quota, admission policy or permission that it names',
    },
    PodSettingRefused: {
      types: ['Ready', 'Accepted', 'Stalled'],
      meaning:
        'the settings of the operator do not permit a field of `spec.pods`, or a Secret for variables lacks its label. Nothing of the spec is applied; pods that run stay as they are',
      action:
        'correct the field that the message names, or let the administrator [permit it](security.md#settings-of-pods)',
    },
    StrimziNotInstalled: {
      types: ['Ready', 'Accepted', 'Stalled'],
      meaning: '`spec.source.strimzi` is set, but the cluster does not have the CRD of KafkaTopic',
      action:
        'install Strimzi; the operator notices it within a minute. Or create the topic yourself and remove the field',
    },
    TopicNamespaceRefused: {
      types: ['Ready', 'Accepted', 'Stalled'],
      meaning:
        '`spec.source.strimzi.namespace` names another namespace, which does not allow KafkaTopics for pipelines of this one. Workers run if the topic exists',
      action:
        'ask the owner of that namespace for the annotation that the message names; see “Topics in other namespaces” in [Security](security.md)',
    },
    TopicNotCreated: {
      meaning: 'the topic does not exist: Strimzi has not created it from its KafkaTopic',
      action: 'do what the message says; workers continue automatically',
    },
    CrdOutdated: {
      types: ['Ready'],
      meaning:
        'the CRD in the cluster is older than the operator, and the API server refuses the status. Workers are not affected; the rest of the status is missing',
      action: 'apply the CRD of the release of the operator, as in [Upgrade and uninstall](#upgrade-and-uninstall)',
    },
    Deleting: {
      expected: true,
      alert: null,
      meaning: 'pods are terminating, or stored data is being removed',
      action: 'wait',
    },
    DeletionWaits: {
      meaning: 'stored data cannot be removed',
      action:
        'follow the message, or set `spec.deletionPolicy: retain` to delete the pipeline and keep its data; if the namespace is being deleted, see [A namespace stays Terminating](#a-namespace-stays-terminating)',
    },
    RemovalJobFailed: {
      types: [],
      meaning:
        'the Job that removes the data failed; this appears only in the message of `DeletionWaits`, never as a separate reason',
      action: 'delete the Job; the operator creates it again',
    },
  },
)

/** As `Notice`: problems of the ingest and of the load generator. */
const POD_PROBLEMS = define(
  { raisedBy: 'operator', types: ['Ready', 'WorkersReady', 'Notice'], blocking: true, alert: 'SalesPipelineNotReady' },
  {
    SecretMissing: {
      meaning: 'a Secret that the spec refers to does not exist, or lacks a key',
      action: 'create the Secret or add the key; the pods then start automatically',
    },
    PodUnschedulable: {
      meaning: 'no node can run one of the pods',
      action: 'add or free capacity, or lower `spec.workers.resources`',
    },
    ImageCannotBePulled: {
      meaning: 'the image name, the registry or its credentials are wrong',
      action: 'correct them',
    },
    ContainerConfigInvalid: {
      meaning: 'the kubelet cannot create a container (`CreateContainerConfigError`)',
      action: 'correct what the message names',
    },
    PodsRefused: {
      meaning: 'Kubernetes refuses new pods: a ResourceQuota, a LimitRange, Pod Security or another admission policy',
      action: 'do what the message says, such as raising the quota that it names; the pods then start automatically',
    },
    WorkerOutOfMemory: {
      meaning: 'a worker needs more memory than its limit, or than its node has',
      action:
        'raise `limits.memory` and `requests.memory` of `spec.workers.resources`; see [SalesPipelineWorkerMemory](#salespipelineworkermemory)',
    },
    WorkerCrashLooping: {
      meaning: 'a worker exits again and again',
      action: "the message contains the worker's last log line: read it",
    },
  },
)

/** Other states that the operator reports. */
const STATES = define(
  { raisedBy: 'operator', types: ['Ready'], blocking: true, expected: true, alert: null },
  {
    Streaming: {
      blocking: false,
      meaning:
        'results reach every sink; before the first sale: every partition has a worker, and every sink accepts results',
      action: 'nothing',
    },
    WorkersStarting: {
      alert: 'SalesPipelineNotReady',
      meaning: 'no worker is ready yet',
      action: 'wait; after some minutes see [SalesPipelineNotReady](#salespipelinenotready)',
    },
    RollingOut: {
      types: ['Ready', 'Progressing', 'Reconciling'],
      alert: 'SalesPipelineNotReady',
      meaning:
        'the newest spec is not in force yet: the workers that run it have not claimed every partition, or a sink has not accepted their writes. Workers of the earlier spec may still deliver results',
      action: 'wait; after some minutes see [SalesPipelineNotReady](#salespipelinenotready)',
    },
    ProgressDeadlineExceeded: {
      types: ['Ready', 'Progressing', 'Stalled'],
      expected: false,
      alert: 'SalesPipelineNotReady',
      meaning: 'the newest spec has not come into force within 10 minutes',
      action: 'read the message, and the reason of `Ready`; see [Wait for a change](#wait-for-a-change)',
    },
    RolloutStalled: {
      types: ['Progressing'],
      expected: false,
      alert: 'SalesPipelineNotReady',
      meaning: 'the newest spec cannot come into force before an engineer acts; `Stalled` has the reason',
      action: 'do what the reason of `Stalled` says',
    },
    GenerationInForce: {
      types: ['Progressing'],
      blocking: false,
      meaning:
        'the newest spec is in force: its workers have claimed every partition, and every sink accepts their writes',
      action: 'nothing',
    },
    Paused: {
      types: ['Ready', 'Progressing'],
      meaning: '`spec.workers.replicas` is 0',
      action: '[scale](#scale) the pipeline to resume',
    },
    Applied: {
      types: ['Accepted'],
      blocking: false,
      meaning: 'every object of the spec is applied',
      action: 'nothing',
    },
    AllWorkersReady: { types: ['WorkersReady'], blocking: false, meaning: 'all workers are ready', action: 'nothing' },
    WorkersNotReady: {
      types: ['WorkersReady'],
      blocking: false,
      meaning: 'some workers are not ready',
      action: 'run `kubectl describe pod` for the pods that are not ready',
    },
    IngestUnauthenticated: {
      types: ['Notice'],
      blocking: false,
      meaning: 'the REST ingest accepts sales from anyone who can connect to it',
      action: 'set `tokensSecretRef`, `jwt` or `tls.clientCaSecretRef` of `spec.ingest` (see [Security](security.md))',
    },
    KafkaTopicNotReady: {
      types: ['Notice'],
      blocking: false,
      meaning:
        'Strimzi reports a fault of the KafkaTopic, such as `ResourceConflict`; the topic may have other settings than the KafkaTopic says',
      action: 'do what the message says; see [Two KafkaTopics for one topic](#two-kafkatopics-for-one-topic)',
    },
    WorkersIdle: {
      types: ['Notice'],
      blocking: false,
      meaning: 'there are more workers than partitions; the message says how many workers have nothing to do',
      action: 'lower the number of workers, or add partitions to the topic',
    },
    AutoscalerInControl: {
      types: ['Autoscaling'],
      blocking: false,
      meaning: 'the autoscaler sets the number of workers; `spec.workers.replicas` is ignored',
      action: 'nothing',
    },
    ObserveOnly: {
      types: ['Autoscaling'],
      blocking: false,
      meaning: '`spec.workers.replicas` applies; the autoscaler only reports what it would do',
      action: 'nothing',
    },
  },
)

export const CONDITIONS = { ...STATES, ...OBSTACLES, ...POD_PROBLEMS, ...BLOCKING, ...FATAL, ...INFORMING }

export type ConditionCode = keyof typeof CONDITIONS
/** Conditions that stop the pipeline or one of its partitions until an engineer acts. */
export type FatalCode = keyof typeof FATAL
/** Conditions that workers raise. */
export type WorkerCode = FatalCode | keyof typeof BLOCKING | keyof typeof INFORMING

/** A code that another process reports: it may run a newer release, with codes that this one does not know. */
export type ReportedCode = string & { readonly reported: unique symbol }

export const codesWhere = (holds: (info: ConditionInfo) => boolean): ConditionCode[] =>
  (Object.keys(CONDITIONS) as ConditionCode[]).filter(code => holds(CONDITIONS[code]))

/** Codes that report a weaker guarantee while everything runs. All other worker codes block, including unknown ones. */
export const INFORMATIONAL: ReadonlySet<string> = new Set(Object.keys(INFORMING))

/**
 * Reasons from root cause to consequence: a reason can lead to those below it, never to those above it. Example: without
 * PostgreSQL nothing is projected, so StoreUnavailable is above ProjectionBehind. Several may hold at a time, reported by
 * several workers: the one that is highest here is the reason of Ready, in whatever order they are reported.
 */
const CAUSES: readonly (ConditionCode | 'unknown')[] = [
  // A deletion replaces everything else.
  ...(['Deleting', 'DeletionWaits', 'RemovalJobFailed'] as const),
  // The spec is not applied as a whole.
  ...(['CrdOutdated', 'SpecInvalid', 'ObjectConflict', 'PodSettingRefused', 'StrimziNotInstalled'] as const),
  ...(['TopicNamespaceRefused', 'ApplyRejected', 'SecretMissing', 'Paused', 'TopicNotCreated'] as const),
  // A server that every worker needs.
  ...(['AccessDenied', 'PoolerUnsupported', 'StoreUnavailable', 'SourceUnavailable', 'TopicMissing'] as const),
  // The stored results, the topic and the spec do not fit together.
  ...(['SchemaOwnedByOther', 'SchemaTooNew', 'TopicReplaced', 'TopicCompacted'] as const),
  ...(['AggregationChanged', 'MeasureUnclear', 'ColumnReserved'] as const),
  // One partition cannot be read or counted.
  ...(['LogTruncated', 'OffsetOutOfRange', 'CorruptBatch', 'MessageFormatUnsupported'] as const),
  ...(['ConservationViolated', 'DeadLettersPaused'] as const),
  // A code of a newer worker. It blocks, and more is not known.
  'unknown',
  // Some workers do not run.
  ...(['PodsRefused', 'PodUnschedulable', 'ImageCannotBePulled', 'ContainerConfigInvalid'] as const),
  ...(['WorkerOutOfMemory', 'WorkerCrashLooping', 'RemovedFromGroup'] as const),
  // Rows are committed, and do not reach the sink.
  ...(['IndexOwnedByOther', 'ProjectionBehind', 'ProjectionRejected', 'ProjectionRebuilding'] as const),
  // Part of a rollout.
  ...(['GenerationOutdated', 'WorkersStarting', 'ProgressDeadlineExceeded', 'RollingOut'] as const),
  // Weaker guarantees. Times that are wrong make events late, and dead letters fill their table.
  ...(['OffsetsSkipped', 'WeakFutureGuard', 'EventTimesFarBehind', 'WatermarkFarAhead', 'ManyLateEvents'] as const),
  ...(['ManyDeadLetters', 'DeadLettersFull', 'OpenTransaction', 'PartitionsAdded'] as const),
  ...(['DeduplicationHistoryUnavailable', 'DeduplicationBounded', 'AddedPerLine', 'ReadersNotGranted'] as const),
  ...(['KafkaTopicNotReady', 'WorkersIdle', 'IngestUnauthenticated'] as const),
]

const RANKS: ReadonlyMap<string, number> = new Map(CAUSES.map((code, rank) => [code, rank]))

/** The place of a reason in the order from root cause to consequence; the root is lowest. */
export const causeRank = (reason: string): number => RANKS.get(reason) ?? RANKS.get('unknown')!

/** Returns them with the root cause first. Equal reasons are in the order of their messages, so that the order is always the same. */
export function byCause<T extends { reason: string; message: string }>(troubles: readonly T[]): T[] {
  const text = ({ reason, message }: T) => `${reason}: ${message}`
  return troubles.toSorted(
    (a, b) => causeRank(a.reason) - causeRank(b.reason) || (text(a) < text(b) ? -1 : Number(text(a) > text(b))),
  )
}
