/**
 * The closed set of failures. Adapters translate everything that libraries throw into one of these; the flow decides
 * by class alone. Each message says what to do.
 */
import type { FatalCode, WorkerCode } from '#pipeline/conditions.ts'

/**
 * A transient failure: the same call may succeed later. The outcome may be unknown. `afterMs`: least time to wait.
 * `condition`: shown meanwhile, where it is more exact than that the server is unavailable.
 */
export class Retryable extends Error {
  readonly afterMs: number
  readonly condition: WorkerCode | undefined
  constructor(message: string, options: { afterMs?: number; condition?: WorkerCode; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'Retryable'
    this.afterMs = options.afterMs ?? 200
    this.condition = options.condition
  }
}

/** A commit's progress update matched too few rows: a partition has another owner, or the commit is already stored. */
export class Fenced extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Fenced'
  }
}

/** PostgreSQL rejects the data itself (SQLSTATE class 22 or 23): bisect to the record, then dead-letter it. */
export class Rejected extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'Rejected'
  }
}

/** A failure that waiting does not fix. `code` is also the reason shown in status and metrics. */
export class Fatal extends Error {
  readonly code: FatalCode
  constructor(code: FatalCode, message: string, options: { cause?: unknown } = {}) {
    super(`${code}: ${message}`, options)
    this.name = 'Fatal'
    this.code = code
  }
}
