/**
 * The closed set of failures. Adapters translate everything that libraries throw into one of these; the flow decides
 * by class alone. Each message says what to do.
 */

/**
 * Passing: the same call may succeed later. `afterMs` is the least time to wait. The outcome may be unknown.
 * `condition`: the reason to show meanwhile, where it is a more exact one than that the other side is unavailable.
 */
export class Retryable extends Error {
  readonly afterMs: number
  readonly condition: string | undefined
  constructor(message: string, options: { afterMs?: number; condition?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'Retryable'
    this.afterMs = options.afterMs ?? 200
    this.condition = options.condition
  }
}

/** A commit's progress update found fewer rows than it named: somebody else owns a partition, or it is already done. */
export class Fenced extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Fenced'
  }
}

/** PostgreSQL refuses the data itself (SQLSTATE class 22 or 23): bisect to the record, then dead-letter it. */
export class Rejected extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'Rejected'
  }
}

/** Conditions that stop the pipeline or one of its partitions until a person decides. */
export type FatalCode =
  | 'SchemaTooNew'
  | 'SchemaOwnedByOther'
  | 'AggregationChanged'
  | 'GenerationOutdated'
  | 'TopicReplaced'
  | 'TopicCompacted'
  | 'LogTruncated'
  | 'OffsetOutOfRange'
  | 'CorruptBatch'
  | 'AccessDenied'
  | 'Expelled'

/** Not healed by waiting. `code` is also the reason shown in status and metrics. */
export class Fatal extends Error {
  readonly code: FatalCode
  constructor(code: FatalCode, message: string, options: { cause?: unknown } = {}) {
    super(`${code}: ${message}`, options)
    this.name = 'Fatal'
    this.code = code
  }
}
