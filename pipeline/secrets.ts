/** Secrets outside Kubernetes: environment variables, never arguments, so that no process list shows them. */
import type { SecretRef, Spec } from './schema.ts'
import { UserError } from './user-error.ts'

/** The environment variable that stands for a Secret's key: SECRET_<NAME>_<KEY>. */
export function secretVariable(ref: SecretRef): string {
  return `SECRET_${ref.name}_${ref.key}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/** The Secrets of the topic's side, which producers need as well. */
export function sourceSecrets({ source }: Spec): SecretRef[] {
  return given(source.tls?.caSecretRef, source.sasl?.usernameSecretRef, source.sasl?.passwordSecretRef)
}

/** Those of the stores. */
export function sinkSecrets({ sinks }: Spec): SecretRef[] {
  return [sinks.postgres, sinks.elasticsearch].flatMap(sink =>
    given(sink?.usernameSecretRef, sink?.passwordSecretRef, sink?.tls?.caSecretRef),
  )
}

const given = (...refs: (SecretRef | undefined)[]) => refs.filter(ref => ref !== undefined)

/** The value of a Secret's key. Throws a UserError that names the variable to set. */
export function secretsFrom(env: Record<string, string | undefined>): (ref: SecretRef) => string {
  return ref => {
    const value = env[secretVariable(ref)]
    if (value === undefined)
      throw new UserError(`set ${secretVariable(ref)}: the value of key ${ref.key} of Secret ${ref.name}`)
    return value
  }
}
