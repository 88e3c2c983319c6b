/** Secrets outside Kubernetes come from environment variables, never from arguments, which process lists show. */
import type { ClientCertSecretRef, SecretRef, Spec } from './schema.ts'
import { UserError } from './user-error.ts'

/** Names the file with the token for `spec.source.sasl.serviceAccountToken`. */
export const KAFKA_TOKEN_FILE = 'KAFKA_TOKEN_FILE'

/** Returns the environment variable that holds a Secret's key: SECRET_<NAME>_<KEY>. */
export function secretVariable(ref: SecretRef): string {
  return `SECRET_${ref.name}_${ref.key}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/** Returns the Secrets of the Kafka connection, which producers need as well. */
export function sourceSecrets({ source }: Spec): SecretRef[] {
  const { tls, sasl } = source
  return given(
    ...tlsSecrets(tls),
    sasl?.usernameSecretRef,
    sasl?.passwordSecretRef,
    sasl?.oauth?.clientSecretRef,
    sasl?.oauth?.caSecretRef,
  )
}

/** Returns the Secrets of PostgreSQL and Elasticsearch. */
export function sinkSecrets({ sinks }: Spec): SecretRef[] {
  return [sinks.postgres, sinks.elasticsearch].flatMap(sink =>
    given(sink?.usernameSecretRef, sink?.passwordSecretRef, ...tlsSecrets(sink?.tls)),
  )
}

function tlsSecrets(tls: Spec['source']['tls']): (SecretRef | undefined)[] {
  const pair = tls?.clientCertSecretRef
  return [tls?.caSecretRef, ...(pair ? Object.values(certificateSecrets(pair)) : [])]
}

/** Returns the keys of the Secret that hold a client certificate and its private key. */
export function certificateSecrets({ name, certificate, key }: ClientCertSecretRef) {
  return { certificate: { name, key: certificate }, key: { name, key } }
}

/** Returns the Secrets that pods read as environment variables, because `spec.pods.env` names them. */
export function podSecrets({ pods }: Spec): SecretRef[] {
  return given(...pods.env.map(({ valueSecretRef }) => valueSecretRef))
}

export const OPEN_INGEST =
  'the ingest accepts sales from anyone who can connect to it; set spec.ingest.tokensSecretRef, spec.ingest.jwt or spec.ingest.tls.clientCaSecretRef'

/** Returns whether the ingest runs and accepts sales without credentials: see OPEN_INGEST. */
export function isOpenIngest({ ingest }: Spec): boolean {
  return ingest.replicas > 0 && !ingest.tokensSecretRef && !ingest.jwt && !ingest.tls?.clientCaSecretRef
}

const given = (...refs: (SecretRef | undefined)[]) => refs.filter(ref => ref !== undefined)

/** Returns a function that resolves a Secret's key. It throws a UserError that names the variable to set. */
export function secretsFrom(env: Record<string, string | undefined>): (ref: SecretRef) => string {
  return ref => {
    const value = env[secretVariable(ref)]
    if (value === undefined)
      throw new UserError(
        `environment variable ${secretVariable(ref)} is not set; set it to the value of key ${ref.key} of Secret ${ref.name}`,
      )
    return value
  }
}
