/** Connection options for the brokers that a SalesPipeline document names. */
import type { ConnectionOptions } from '@platformatic/kafka'
import type { Spec } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import { rememberSecret } from './redact.ts'

export type KafkaConnection = ConnectionOptions & { clientId: string; bootstrapBrokers: string[] }

/**
 * Reads Secrets from `env`, never from arguments. Time-outs that `timeouts` leaves out are the client's defaults. Throws
 * a UserError that names the variable when a Secret is not in `env`.
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
  if (tls?.enabled) options.tls = tls.caSecretRef ? { ca: secret(tls.caSecretRef) } : {}
  if (sasl) {
    const { mechanism, usernameSecretRef, passwordSecretRef } = sasl
    const password = rememberSecret(secret(passwordSecretRef))
    options.sasl = { mechanism, username: secret(usernameSecretRef), password }
  }
  return options
}
