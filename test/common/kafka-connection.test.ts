import { expect, test } from 'vitest'
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

test('secrets come from the environment', () => {
  expect(connect(secured, env)).toEqual({
    clientId: 'client',
    bootstrapBrokers: ['a:9092', 'b:9092'],
    tls: { ca: 'PEM' },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'shop', password: 'secret' },
  })
})

test('time-outs are the client’s own unless they are given', () => {
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

test('plain, and TLS with the system’s authorities', () => {
  expect(connect({}, {})).toEqual({
    clientId: 'client',
    bootstrapBrokers: ['a:9092', 'b:9092'],
  })
  expect(connect({ tls: { enabled: true } }, {}).tls).toEqual({})
  expect(connect({ tls: { enabled: false } }, {}).tls).toBeUndefined()
})

test('a secret that is not there is named by its variable', () => {
  expect(() => connect(secured, { ...env, SECRET_KAFKA_USER_PASSWORD: undefined })).toThrow(
    'SECRET_KAFKA_USER_PASSWORD is not set; set it to key password of Secret kafka-user',
  )
})
