/** How to reach the brokers that a spec names. Secrets come from the environment, never from arguments. */
import type { ConnectionOptions } from '@platformatic/kafka'
import type { Spec } from '#pipeline/schema.ts'
import { secretsFrom } from '#pipeline/secrets.ts'

export type KafkaConnection = ConnectionOptions & { clientId: string; bootstrapBrokers: string[] }

/** Throws an Error that names the variable when a Secret of the spec is not in `env`. */
export function kafkaConnection(source: Spec['source'], clientId: string, env: NodeJS.ProcessEnv): KafkaConnection {
  const secret = secretsFrom(env)
  const { bootstrapServers, tls, sasl } = source
  const options: KafkaConnection = { clientId, bootstrapBrokers: bootstrapServers }
  if (tls?.enabled) options.tls = tls.caSecretRef ? { ca: secret(tls.caSecretRef) } : {}
  if (sasl) {
    const { mechanism, usernameSecretRef, passwordSecretRef } = sasl
    options.sasl = { mechanism, username: secret(usernameSecretRef), password: secret(passwordSecretRef) }
  }
  return options
}
