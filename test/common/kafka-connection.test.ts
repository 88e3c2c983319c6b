import { expect, it } from 'vitest'
import { kafkaConnection } from '#common/kafka-connection.ts'
import type { Spec } from '#pipeline/schema.ts'

const secured: Pick<Spec['source'], 'tls' | 'sasl'> = {
  tls: { enabled: true, caSecretRef: { name: 'kafka-ca', key: 'ca.crt' } },
  sasl: {
    mechanism: 'SCRAM-SHA-512',
    usernameSecretRef: { name: 'kafka-user', key: 'username' },
    passwordSecretRef: { name: 'kafka-user', key: 'password' },
  },
}
const env = { SECRET_KAFKA_CA_CA_CRT: 'PEM', SECRET_KAFKA_USER_USERNAME: 'shop', SECRET_KAFKA_USER_PASSWORD: 'secret' }
const connect = (security: typeof secured, from: NodeJS.ProcessEnv) => {
  const bootstrapServers = ['a:9092', 'b:9092']
  return kafkaConnection(
    { bootstrapServers, topic: 't', partitions: 1, startFrom: 'earliest', offsetOutOfRange: 'stop', ...security },
    'client',
    from,
  )
}

it('reads Secrets from the environment', () => {
  expect(connect(secured, env)).toEqual({
    clientId: 'client',
    bootstrapBrokers: ['a:9092', 'b:9092'],
    tls: { ca: 'PEM' },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'shop', password: 'secret' },
  })
})

it('leaves time-outs to the client unless they are given', () => {
  const source = { bootstrapServers: ['a:9092'], topic: 't', partitions: 1, startFrom: 'earliest' } as const
  const timeouts = { requestTimeout: 10, connectTimeout: 5 }
  const connection = kafkaConnection(
    { ...source, bootstrapServers: ['a:9092'], offsetOutOfRange: 'stop' },
    'c',
    {},
    timeouts,
  )
  expect(connection).toEqual({ clientId: 'c', bootstrapBrokers: ['a:9092'], ...timeouts })
})

it('connects without TLS, or with TLS and the system’s authorities', () => {
  expect(connect({}, {})).toEqual({
    clientId: 'client',
    bootstrapBrokers: ['a:9092', 'b:9092'],
  })
  expect(connect({ tls: { enabled: true } }, {}).tls).toEqual({})
  expect(connect({ tls: { enabled: false } }, {}).tls).toBeUndefined()
})

it('throws an error with the variable’s name for a missing Secret', () => {
  expect(() => connect(secured, { ...env, SECRET_KAFKA_USER_PASSWORD: undefined })).toThrow(
    'environment variable SECRET_KAFKA_USER_PASSWORD is not set; set it to the value of key password of Secret kafka-user',
  )
})

it('reads the token’s file from the environment, and names the variable if it is missing', () => {
  const sasl = { mechanism: 'OAUTHBEARER', serviceAccountToken: { audience: 'kafka', lifetime: 3_600_000 } } as const
  expect(connect({ sasl }, { KAFKA_TOKEN_FILE: '/token' }).sasl).toMatchObject({ mechanism: 'OAUTHBEARER' })
  expect(() => connect({ sasl }, {})).toThrow(/KAFKA_TOKEN_FILE is not set; set it to the file with the token/)
})
