/** Time-outs of a worker's Kafka clients, and the translation of their errors into ours. */
import { serverText } from '#common/redact.ts'
import { Fatal, Retryable } from '#processor/errors.ts'

/** A broker that does not answer within this time counts as dead; a fetch returns much sooner. All in ms. */
export const KAFKA_TIMEOUTS = { requestTimeout: 10_000, connectTimeout: 5_000 }

const DENIED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
])

/** Translates any error of the client into one of ours. Only denied access is Fatal; everything else may pass. */
export function kafkaError(error: unknown, doing: string): Retryable | Fatal {
  if (error instanceof Retryable || error instanceof Fatal) return error
  const { reason, ids } = describe(error)
  const denied = ids.find(id => DENIED.has(id))
  if (denied)
    return new Fatal(
      'AccessDenied',
      `Kafka denied access while ${doing} (${denied}): check the user, its password and its ACLs`,
      { cause: error },
    )
  return new Retryable(`Kafka error while ${doing}: ${reason}; retrying`, { cause: error })
}

/** Returns whether the broker answered with this error code. */
export const hasCode = (error: unknown, code: string) => describe(error).ids.includes(code)

/** Collects the innermost errors, which say what happened; the library nests them. */
function describe(error: unknown): { reason: string; ids: string[] } {
  const leaves: Error[] = []
  const walk = (e: unknown, depth: number): void => {
    const inner = e instanceof AggregateError ? e.errors : []
    if (depth > 5 || inner.length === 0) leaves.push(e as Error)
    else for (const part of inner) walk(part, depth + 1)
  }
  walk(error, 0)
  const ids = leaves.flatMap(e =>
    [(e as { apiId?: string }).apiId, (e as { code?: string }).code].filter(id => id !== undefined),
  )
  return { reason: serverText([...new Set(leaves.map(e => e?.message ?? String(e)))].join('; ')), ids }
}
