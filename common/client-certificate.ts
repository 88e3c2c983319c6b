/** Client certificates from Secrets, checked before the first connection: a server's refusal does not say what is wrong. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { ClientCertSecretRef, SecretRef, Spec } from '#pipeline/schema.ts'
import { certificateSecrets } from '#pipeline/secrets.ts'
import { UserError } from '#pipeline/user-error.ts'
import { rememberSecret } from './redact.ts'

/** PEM. `ca`: authorities to trust (default: the system's). */
export type ClientTls = { ca?: string; cert?: string; key?: string }

/**
 * Returns the options of a TLS client; null if the block is missing or disabled. `block`: its path in the document. Throws
 * a UserError that names field, Secret and key when the certificate cannot be used.
 */
export function clientTls(
  tls: Spec['source']['tls'],
  block: string,
  secret: (ref: SecretRef) => string,
  now = Date.now(),
): ClientTls | null {
  if (!tls?.enabled) return null
  const { caSecretRef, clientCertSecretRef } = tls
  const pair = clientCertSecretRef && readPair(clientCertSecretRef, `${block}.clientCertSecretRef`, secret, now)
  return { ...(caSecretRef && { ca: secret(caSecretRef) }), ...pair }
}

function readPair(
  ref: ClientCertSecretRef,
  field: string,
  secret: (ref: SecretRef) => string,
  now: number,
): Required<Omit<ClientTls, 'ca'>> {
  const refs = certificateSecrets(ref)
  const [cert, key] = [secret(refs.certificate), rememberSecret(secret(refs.key))]
  const fault = pairFault(cert, key, ref, now)
  if (fault) throw new UserError(`${field}: ${fault}`)
  return { cert, key }
}

function pairFault(cert: string, key: string, ref: ClientCertSecretRef, now: number): string | null {
  const inSecret = `of Secret ${ref.name}`
  const certificate = attempt(() => new X509Certificate(cert))
  if (!certificate) return `key ${ref.certificate} ${inSecret} is not a certificate in PEM format; correct the Secret`
  const privateKey = attempt(() => createPrivateKey(key))
  if (!privateKey)
    return `key ${ref.key} ${inSecret} is not a private key in PEM format without a password; correct the Secret`
  if (!certificate.checkPrivateKey(privateKey))
    return `the private key (${ref.key}) does not belong to the certificate (${ref.certificate}) ${inSecret}; store a pair that was issued together`
  const { validFromDate, validToDate } = certificate
  if (now > validToDate.getTime())
    return `the certificate (${ref.certificate}) ${inSecret} expired at ${validToDate.toISOString()}; renew it`
  if (now < validFromDate.getTime())
    return `the certificate (${ref.certificate}) ${inSecret} is valid only from ${validFromDate.toISOString()}; check the clock, or issue it again`
  return null
}

function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}

/** Returns the common name of the certificate's subject, which PostgreSQL compares with the user name. */
export function commonName(cert: string): string | undefined {
  return /^CN=(.*)$/m.exec(new X509Certificate(cert).subject)?.[1]
}
