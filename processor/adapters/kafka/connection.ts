/** Time-outs of a worker's Kafka clients, and the translation of their errors into ours. */
import { nestedErrors } from '#common/error-causes.ts'
import { kafkaText } from '#common/kafka-text.ts'
import { TokenError } from '#common/oauth-token.ts'
import { Fatal, Retryable } from '#processor/errors.ts'

/** A broker that does not answer within this time counts as dead; a fetch returns much sooner. All in ms. */
export const KAFKA_TIMEOUTS = { requestTimeout: 10_000, connectTimeout: 5_000 }

const DENIED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
])

/** Errors of OpenSSL and Node about certificates, and alerts of the broker about ours. */
const CERTIFICATE = /CERT|SIGNATURE|ERR_TLS|ERR_SSL/

/**
 * Translates any error of the client into one of ours. Only denied access is Fatal; everything else may pass.
 */
export function kafkaError(error: unknown, doing: string): Retryable | Fatal {
  if (error instanceof Retryable || error instanceof Fatal) return error
  const { all } = nestedErrors(error)
  const ids = idsOf(all)
  const denied = ids.find(id => DENIED.has(id))
  const fatal = (reason: string) =>
    new Fatal('AccessDenied', `Kafka denied access while ${doing} ${reason}`, { cause: error })
  if (denied) return fatal(`(${denied}): check the user, its credentials and its ACLs`)
  const token = all.find(e => e instanceof TokenError)
  if (token?.denied) return new Fatal('AccessDenied', token.message, { cause: error })
  const reason = kafkaText(error)
  if (ids.some(id => CERTIFICATE.test(id))) return fatal(`(${reason}): check spec.source.tls and its certificates`)
  return new Retryable(`Kafka error while ${doing}: ${reason}; retrying`, { cause: error })
}

/** Returns whether the broker answered with this error code. */
export const hasCode = (error: unknown, code: string) => idsOf(nestedErrors(error).all).includes(code)

function idsOf(errors: unknown[]): string[] {
  return errors.flatMap(e => {
    const { apiId, code } = (e ?? {}) as { apiId?: unknown; code?: unknown }
    return [apiId, code].filter(id => typeof id === 'string')
  })
}
