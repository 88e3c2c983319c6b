/** Connection options for the brokers that a SalesPipeline document names. */
import type { ConnectionOptions, SASLOptions } from '@platformatic/kafka'
import type { SecretRef, Spec } from '#pipeline/schema.ts'
import { KAFKA_TOKEN_FILE, secretsFrom } from '#pipeline/secrets.ts'
import { UserError } from '#pipeline/user-error.ts'
import { clientTls } from './client-certificate.ts'
import { checkTokenAnswer, fetchedToken, tokenFromFile } from './oauth-token.ts'
import { rememberSecret } from './redact.ts'

export type KafkaConnection = ConnectionOptions & { clientId: string; bootstrapBrokers: string[] }

/**
 * Reads Secrets from `env`, never from arguments. Time-outs that `timeouts` leaves out are the client's defaults. Throws
 * a UserError that names the variable when a Secret is not in `env`, or the field whose client certificate cannot be used.
 */
export function kafkaConnection(
  source: Spec['source'],
  clientId: string,
  env: NodeJS.ProcessEnv,
  timeouts: Pick<ConnectionOptions, 'connectTimeout' | 'requestTimeout'> = {},
): KafkaConnection {
  const secret = secretsFrom(env)
  const { bootstrapServers, tls, sasl } = source
  const options: KafkaConnection = { clientId, bootstrapBrokers: bootstrapServers, ...timeouts }
  const encryption = clientTls(tls, 'spec.source.tls', secret)
  if (encryption) options.tls = encryption
  if (sasl) options.sasl = saslOptions(sasl, secret, env)
  return options
}

type Sasl = NonNullable<Spec['source']['sasl']>

/** The document has exactly the fields of its mechanism (pipeline/authentication-checks.ts). */
function saslOptions(
  { mechanism, usernameSecretRef, passwordSecretRef, oauth }: Sasl,
  secret: (ref: SecretRef) => string,
  env: NodeJS.ProcessEnv,
): SASLOptions {
  if (mechanism !== 'OAUTHBEARER') {
    const password = rememberSecret(secret(passwordSecretRef!))
    return { mechanism, username: secret(usernameSecretRef!), password }
  }
  const authBytesValidator = checkTokenAnswer
  if (!oauth) return { mechanism, token: tokenFromFile(tokenFile(env)), authBytesValidator }
  const { tokenEndpoint, clientId, scope, clientSecretRef, caSecretRef } = oauth
  const clientSecret = rememberSecret(secret(clientSecretRef))
  const ca = caSecretRef && secret(caSecretRef)
  return { mechanism, token: fetchedToken({ tokenEndpoint, clientId, clientSecret, scope, ca }), authBytesValidator }
}

/** The operator sets the variable to the file of the projected token. */
function tokenFile(env: NodeJS.ProcessEnv): string {
  const file = env[KAFKA_TOKEN_FILE]
  if (!file)
    throw new UserError(
      `environment variable ${KAFKA_TOKEN_FILE} is not set; set it to the file with the token for spec.source.sasl.serviceAccountToken`,
    )
  return file
}
