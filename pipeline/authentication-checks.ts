/** Checks of the credentials that a document names: complete, and only those that are used. */
import type { Fault } from './faults.ts'
import type { Spec } from './schema.ts'

/** Fields of `sasl` that one mechanism needs and the other does not allow. */
export const PASSWORD_FIELDS = ['usernameSecretRef', 'passwordSecretRef'] as const
export const TOKEN_FIELDS = ['oauth', 'serviceAccountToken'] as const

export const NEEDS_PASSWORD = 'is required unless mechanism is OAUTHBEARER; set it'
export const NEEDS_TOKEN = 'OAUTHBEARER needs a token; set either oauth or serviceAccountToken'
export const NOT_WITH_TOKEN = 'is not allowed when mechanism is OAUTHBEARER; remove it or change the mechanism'
export const ONLY_WITH_TOKEN = 'is only allowed when mechanism is OAUTHBEARER; remove it or change the mechanism'
export const UNUSED_CERTIFICATE = 'is only sent over TLS, but enabled is false; set enabled to true, or remove it'

export function authenticationFaults({ source, sinks }: Spec): Fault[] {
  return [
    ...saslFaults(source.sasl),
    ...certificateFaults(source.tls, ['source', 'tls']),
    ...certificateFaults(sinks.postgres.tls, ['sinks', 'postgres', 'tls']),
    ...certificateFaults(sinks.elasticsearch?.tls, ['sinks', 'elasticsearch', 'tls']),
  ]
}

function saslFaults(sasl: Spec['source']['sasl']): Fault[] {
  if (!sasl) return []
  const at = (message: string) => (field: string) => ({ path: ['source', 'sasl', field], message })
  const isSet = (field: (typeof PASSWORD_FIELDS | typeof TOKEN_FIELDS)[number]) => sasl[field] !== undefined
  if (sasl.mechanism !== 'OAUTHBEARER')
    return [
      ...PASSWORD_FIELDS.filter(field => !isSet(field)).map(at(NEEDS_PASSWORD)),
      ...TOKEN_FIELDS.filter(isSet).map(at(ONLY_WITH_TOKEN)),
    ]
  const hasOne = TOKEN_FIELDS.filter(isSet).length === 1
  return [
    ...PASSWORD_FIELDS.filter(isSet).map(at(NOT_WITH_TOKEN)),
    ...(hasOne ? [] : [{ path: ['source', 'sasl'], message: NEEDS_TOKEN }]),
  ]
}

function certificateFaults(tls: Spec['source']['tls'], at: string[]): Fault[] {
  if (!tls?.clientCertSecretRef || tls.enabled) return []
  return [{ path: [...at, 'clientCertSecretRef'], message: UNUSED_CERTIFICATE }]
}
