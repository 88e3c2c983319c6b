/** Connection options for the stores that a SalesPipeline document names. Secrets come from the environment. */
import type { Spec } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import { UserError } from '#pipeline/user-error.ts'
import { rememberSecret } from './redact.ts'

/** Options of pg's clients. */
export type PostgresConnection = {
  host: string
  port: number
  database: string
  user: string
  password: string | undefined
  /** An object enables TLS with certificate checks. `ca`: PEM of the authority to trust (default: the system's). */
  ssl?: { ca?: string } | false
}

/** Options of Elasticsearch's client. */
export type ElasticsearchConnection = {
  nodes: string[]
  auth?: { username: string; password: string }
  /** `ca`: PEM of the authority to trust (default: the system's). */
  tls?: { ca: string }
}

/**
 * Takes user and password from the document's Secrets, else from PGUSER and PGPASSWORD. Throws a UserError that names
 * the variable when a Secret or PGUSER is not in `env`.
 */
export function postgresConnection({ sinks }: Spec, env: NodeJS.ProcessEnv): PostgresConnection {
  const secret = secretsFrom(env)
  const { host, port, database, usernameSecretRef, passwordSecretRef, tls } = sinks.postgres
  const user = usernameSecretRef ? secret(usernameSecretRef) : env.PGUSER
  if (user === undefined) throw new UserError('no PostgreSQL user: set PGUSER or spec.sinks.postgres.usernameSecretRef')
  return {
    host,
    port,
    database,
    user,
    password: rememberSecret(passwordSecretRef ? secret(passwordSecretRef) : env.PGPASSWORD),
    ssl: tls?.enabled ? (tls.caSecretRef ? { ca: secret(tls.caSecretRef) } : {}) : false,
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
  if (tls?.enabled && tls.caSecretRef) connection.tls = { ca: secret(tls.caSecretRef) }
  return connection
}
