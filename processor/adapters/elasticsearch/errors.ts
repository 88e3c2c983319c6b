/** Translates the client's errors into Retryable ones, because a person can fix every failure of a sink. */
import { errors } from '@elastic/elasticsearch'
import { serverText } from '#common/redact.ts'
import { Retryable } from '#processor/errors.ts'

/** Errors as Elasticsearch nests them; the innermost says what is wrong. */
export type Cause = { type: string; reason?: string | null; caused_by?: Cause | null }

/** Does not keep the client's error as the cause, because that contains the request with its headers. */
export function elasticsearchError(error: unknown, doing: string, user: string | undefined): Retryable {
  if (error instanceof Retryable) return error
  if (!(error instanceof errors.ResponseError))
    return new Retryable(`Elasticsearch error while ${doing}: ${serverText((error as Error).message)}; retrying`)
  const { statusCode, body } = error
  const reason = serverText(`${statusCode} ${body?.error?.type ? causes(body.error) : error.message}`)
  return new Retryable(
    [`Elasticsearch error while ${doing}: ${reason}; retrying`, ...hintFor(statusCode, user)].join('. '),
  )
}

/** Returns "type: reason, caused by type: reason, …". */
export function causes({ type, reason, caused_by }: Cause): string {
  const outer = `${type}: ${reason}`
  return caused_by ? `${outer}, caused by ${causes(caused_by)}` : outer
}

function hintFor(status: number | undefined, user = 'anonymous'): string[] {
  switch (status) {
    case 400:
      return [
        'If an existing index has another mapping, set a different index name in spec.sinks.elasticsearch; all rows are then written to the new index',
      ]
    case 401:
      return [`Check the user name ${user} and its password (the Secrets in spec.sinks.elasticsearch)`]
    case 403:
      return [
        `Grant user ${user} these privileges: manage_index_templates on the cluster; manage, read and write on the index`,
      ]
    default:
      return []
  }
}
