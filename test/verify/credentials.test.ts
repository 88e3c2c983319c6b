/** What the verifier reads from the document and the environment to connect. test/processor/authentication.test.ts uses it. */
import { describe, expect, it } from 'vitest'
import { kafkaAccess, sinkAccess } from '#verify/credentials.ts'

const login = {
  usernameSecretRef: { name: 'user', key: 'name' },
  passwordSecretRef: { name: 'user', key: 'pass.word' },
}
const env = { SECRET_USER_NAME: 'shop', SECRET_USER_PASS_WORD: 'secret' }

describe('the access to Kafka', () => {
  it('uses neither TLS nor credentials for Kafka unless the document has them', () => {
    expect(kafkaAccess({}, {})).toEqual({})
    expect(kafkaAccess({ tls: { enabled: false, clientCertSecretRef: { name: 'user' } } }, {})).toEqual({})
    expect(kafkaAccess({ tls: {} }, {})).toEqual({ ssl: {} })
  })

  it.each([
    ['PLAIN', 'plain'],
    ['SCRAM-SHA-256', 'scram-sha-256'],
    ['SCRAM-SHA-512', 'scram-sha-512'],
  ] as const)('reads user and password of Kafka for %s', (mechanism, expected) => {
    const sasl = { mechanism: expected, username: 'shop', password: 'secret' }
    expect(kafkaAccess({ sasl: { mechanism, ...login } }, env)).toEqual({ sasl })
  })

  it('names the variable that is not set', () => {
    const tls = { clientCertSecretRef: { name: 'shop-user' } }
    expect(() => kafkaAccess({ tls }, {})).toThrow(
      'SECRET_SHOP_USER_USER_CRT is not set; set it to the value of key user.crt of Secret shop-user',
    )
  })
})

describe('the access to a sink', () => {
  const tls = { caSecretRef: { name: 'ca', key: 'ca.crt' } }

  it('reads the certificate of a sink from a Secret of the type kubernetes.io/tls', () => {
    const pair = { SECRET_PG_TLS_CRT: 'certificate', SECRET_PG_TLS_KEY: 'key' }
    expect(sinkAccess({ tls: { clientCertSecretRef: { name: 'pg' } } }, pair)).toEqual({
      tls: { cert: 'certificate', key: 'key' },
    })
  })

  it('leaves user and password to other variables, and the authority to CA_FILES', () => {
    expect(sinkAccess({ ...login, tls }, { CA_FILES: 'ca.pem' })).toEqual({ tls: {} })
    expect(sinkAccess({ ...login, tls }, { ...env, SECRET_CA_CA_CRT: 'PEM' })).toEqual({
      user: 'shop',
      password: 'secret',
      tls: { ca: 'PEM' },
    })
    expect(() => sinkAccess({ tls }, {})).toThrow('SECRET_CA_CA_CRT is not set')
  })
})
