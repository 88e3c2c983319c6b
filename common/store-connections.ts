/** Connection options for the stores that a SalesPipeline document names. Secrets come from the environment. */
import type { Spec } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import { UserError } from '#pipeline/user-error.ts'
import { type ClientTls, clientTls, commonName } from './client-certificate.ts'
import { rememberSecret } from './redact.ts'

/** Options of pg's clients. */
export type PostgresConnection = {
  host: string
  port: number
  database: string
  user: string
  password: string | undefined
  /** An object enables TLS with certificate checks. */
  ssl?: ClientTls | false
}

/** Options of Elasticsearch's client. */
export type ElasticsearchConnection = {
  nodes: string[]
  auth?: { username: string; password: string }
  tls?: ClientTls
}

/**
 * Takes user and password from the document's Secrets, else from PGUSER and PGPASSWORD; the user also from the client
 * certificate. Throws a UserError that names the variable when a Secret or PGUSER is not in `env`, or the field whose
 * client certificate cannot be used.
 */
export function postgresConnection({ sinks }: Spec, env: NodeJS.ProcessEnv): PostgresConnection {
  const secret = secretsFrom(env)
  const { host, port, database, usernameSecretRef, passwordSecretRef, tls } = sinks.postgres
  const ssl = clientTls(tls, 'spec.sinks.postgres.tls', secret)
  const user = usernameSecretRef ? secret(usernameSecretRef) : (env.PGUSER ?? (ssl?.cert && commonName(ssl.cert)))
  if (user === undefined) throw new UserError('no PostgreSQL user: set PGUSER or spec.sinks.postgres.usernameSecretRef')
  return {
    host,
    port,
    database,
    user,
    password: rememberSecret(passwordSecretRef ? secret(passwordSecretRef) : env.PGPASSWORD),
    ssl: ssl ?? false,
  }
}

/** Requires sinks.elasticsearch. Throws a UserError that names the variable when a Secret is not in `env`. */
export function elasticsearchConnection({ sinks }: Spec, env: NodeJS.ProcessEnv): ElasticsearchConnection {
  const secret = secretsFrom(env)
  const { nodes, usernameSecretRef, passwordSecretRef, tls } = sinks.elasticsearch!
  const connection: ElasticsearchConnection = { nodes }
  // The document has both or neither (pipeline/checks.ts).
  if (usernameSecretRef && passwordSecretRef)
    connection.auth = { username: secret(usernameSecretRef), password: rememberSecret(secret(passwordSecretRef)) }
  const encryption = clientTls(tls, 'spec.sinks.elasticsearch.tls', secret)
  if (encryption && Object.keys(encryption).length > 0) connection.tls = encryption
  return connection
}
