/**
 * Errors of poolers. PgBouncer reports all of its own with the SQLSTATE of a protocol violation, so only their texts differ.
 * Those that waiting does not fix must not look like a server that does not respond.
 */
import { serverText } from '#common/redact.ts'
import { Fatal } from '#processor/errors.ts'

const PROTOCOL_VIOLATION = '08P01'

const STATEMENT_MODE = /statement pooling mode/
const REFUSED_PARAMETER = /unsupported startup parameter/

/** SQLSTATEs with which a server reports the same. */
const KNOWN: [RegExp, string][] = [
  [/authentication failed|no such user/, '28P01'],
  [/no such database|database .* does not exist/, '3D000'],
]

type ServerError = { code?: string | undefined; message: string }

/** Returns the SQLSTATE, or the one that the server would have sent instead of its pooler. */
export function stateOf({ code = '', message }: ServerError): string {
  const known = code === PROTOCOL_VIOLATION && KNOWN.find(([text]) => text.test(message))
  return known ? known[1] : code
}

/** Returns null for other errors. */
export function poolerError({ code, message }: ServerError, doing: string): Fatal | null {
  if (code !== PROTOCOL_VIOLATION) return null
  const advice = adviceOn(message)
  return advice
    ? new Fatal('PoolerUnsupported', `the pooler of PostgreSQL refuses ${doing}: ${serverText(message)}. ${advice}`)
    : null
}

function adviceOn(message: string): string | undefined {
  if (STATEMENT_MODE.test(message))
    return 'Set pool_mode = transaction (or session) for this database in the pooler, or set spec.sinks.postgres.host and port to those of the server'
  if (REFUSED_PARAMETER.test(message))
    return 'Unset PGOPTIONS, or add the parameter to ignore_startup_parameters of the pooler'
  return undefined
}
