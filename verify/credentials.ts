/**
 * How to connect to the stores of a document: TLS, user names, passwords, certificates and tokens. Values of Secrets come
 * from variables SECRET_<NAME>_<KEY>, as for the workers. The verifier only passes them on: a server judges them.
 */
import { readFile } from 'node:fs/promises'
import type { KafkaConfig } from 'kafkajs'
import { exchange, type TlsSettings } from './http.ts'

type SecretRef = { name: string; key: string }

interface WrittenTls {
  enabled?: boolean
  caSecretRef?: SecretRef
  clientCertSecretRef?: { name: string; certificate?: string; key?: string }
}

interface WrittenSasl {
  mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  usernameSecretRef?: SecretRef
  passwordSecretRef?: SecretRef
  oauth?: {
    tokenEndpoint: string
    clientId: string
    clientSecretRef: SecretRef
    scope?: string
    caSecretRef?: SecretRef
  }
}

/** The part of `spec.source` that says how to connect. */
export interface WrittenSource {
  tls?: WrittenTls
  sasl?: WrittenSasl
}

/** The part of a sink that says how to connect. */
export interface WrittenSink {
  usernameSecretRef?: SecretRef
  passwordSecretRef?: SecretRef
  tls?: WrittenTls
}

export type KafkaAccess = Pick<KafkaConfig, 'ssl' | 'sasl'>

export interface SinkAccess {
  user?: string
  password?: string
  tls?: TlsSettings
}

type Environment = Record<string, string | undefined>

/** Keys of the Secrets of a Strimzi KafkaUser, and of the type kubernetes.io/tls. */
const STRIMZI_KEYS = { certificate: 'user.crt', key: 'user.key' }
const TLS_KEYS = { certificate: 'tls.crt', key: 'tls.key' }

/** Throws an Error that names the variable that is not set. */
export function kafkaAccess({ tls, sasl }: WrittenSource, env: Environment): KafkaAccess {
  const ssl = tlsSettings(tls, STRIMZI_KEYS, env)
  return { ...(ssl && { ssl }), ...(sasl && { sasl: saslSettings(sasl, env) }) }
}

/** User and password are left out if the environment does not have them. Throws an Error for a missing certificate. */
export function sinkAccess({ usernameSecretRef, passwordSecretRef, tls }: WrittenSink, env: Environment): SinkAccess {
  const user = usernameSecretRef && env[variableOf(usernameSecretRef)]
  const password = passwordSecretRef && env[variableOf(passwordSecretRef)]
  const settings = tlsSettings(tls, TLS_KEYS, env)
  return {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(settings && { tls: settings }),
  }
}

function saslSettings(sasl: WrittenSasl, env: Environment): NonNullable<KafkaAccess['sasl']> {
  const { mechanism, usernameSecretRef, passwordSecretRef, oauth } = sasl
  if (mechanism === 'OAUTHBEARER') {
    const token = oauth ? () => requestToken(oauth, env) : () => readToken(env)
    return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token() }) }
  }
  const login = { username: secretOf(usernameSecretRef!, env), password: secretOf(passwordSecretRef!, env) }
  if (mechanism === 'PLAIN') return { mechanism: 'plain', ...login }
  return mechanism === 'SCRAM-SHA-256'
    ? { mechanism: 'scram-sha-256', ...login }
    : { mechanism: 'scram-sha-512', ...login }
}

function tlsSettings(tls: WrittenTls | undefined, keys: typeof TLS_KEYS, env: Environment): TlsSettings | null {
  if (!tls || tls.enabled === false) return null
  const { caSecretRef, clientCertSecretRef } = tls
  // CA_FILES may hold the authority instead (main.ts).
  const ca = caSecretRef && (env.CA_FILES ? env[variableOf(caSecretRef)] : secretOf(caSecretRef, env))
  if (!clientCertSecretRef) return ca === undefined ? {} : { ca }
  const { name, certificate, key } = { ...keys, ...clientCertSecretRef }
  return {
    ...(ca !== undefined && { ca }),
    cert: secretOf({ name, key: certificate }, env),
    key: secretOf({ name, key }, env),
  }
}

async function requestToken(oauth: NonNullable<WrittenSasl['oauth']>, env: Environment): Promise<string> {
  const { tokenEndpoint, clientId, clientSecretRef, scope, caSecretRef } = oauth
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const login = [clientId, secretOf(clientSecretRef, env)].map(value => form({ '': value }).slice(1)).join(':')
  const { status, text } = await exchange(new URL(tokenEndpoint), {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from(login).toString('base64')}`,
    },
    body: form({ grant_type: 'client_credentials', ...(scope !== undefined && { scope }) }),
    ...(caSecretRef && { tls: { ca: secretOf(caSecretRef, env) } }),
  })
  // The text is not shown: a provider may repeat the secret in it.
  if (status !== 200) throw new Error(`token endpoint ${tokenEndpoint} answered ${status} for client ${clientId}`)
  const { access_token: token } = JSON.parse(text) as { access_token?: string }
  if (!token) throw new Error(`token endpoint ${tokenEndpoint} answered without access_token`)
  return token
}

async function readToken({ KAFKA_TOKEN_FILE: file }: Environment): Promise<string> {
  if (!file) throw new Error('KAFKA_TOKEN_FILE is not set; set it to the file with the token for the brokers')
  return (await readFile(file, 'utf8')).trim()
}

function variableOf({ name, key }: SecretRef): string {
  return `SECRET_${name}_${key}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

function secretOf(ref: SecretRef, env: Environment): string {
  const value = env[variableOf(ref)]
  if (value === undefined)
    throw new Error(`${variableOf(ref)} is not set; set it to the value of key ${ref.key} of Secret ${ref.name}`)
  return value
}
