import { describe, expect, it } from 'vitest'
import { referencedSecrets } from '#operator/secret-references.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { ingestSecrets, sinkSecrets, sourceSecrets } from '#pipeline/secrets.ts'
import { documentWith } from '../pipeline/documents.ts'

const ref = (name: string) => ({ name, key: 'k' })
/** Every field of the schema that refers to a Secret, each to a different one. */
const ALL = {
  'spec.source.tls': { caSecretRef: ref('kafka-ca'), clientCertSecretRef: { name: 'kafka-cert' } },
  'spec.source.sasl': {
    mechanism: 'SCRAM-SHA-512',
    usernameSecretRef: ref('kafka-user'),
    passwordSecretRef: ref('kafka-password'),
  },
  'spec.ingest': {
    tokensSecretRef: ref('tokens'),
    tls: { certSecretRef: ref('cert'), keySecretRef: ref('key'), clientCaSecretRef: ref('client-ca') },
  },
  'spec.sinks': {
    postgres: {
      usernameSecretRef: ref('pg-user'),
      passwordSecretRef: ref('pg-password'),
      tls: { caSecretRef: ref('pg-ca'), clientCertSecretRef: { name: 'pg-cert' } },
    },
    elasticsearch: {
      nodes: ['https://search:9200'],
      usernameSecretRef: ref('es-user'),
      passwordSecretRef: ref('es-password'),
      tls: { caSecretRef: ref('es-ca'), clientCertSecretRef: { name: 'es-cert' } },
      projections: [{ aggregation: 'by_store', index: 'a' }],
    },
  },
}
const CLIENT_CREDENTIALS = {
  mechanism: 'OAUTHBEARER',
  oauth: {
    tokenEndpoint: 'https://login',
    clientId: 'shop',
    clientSecretRef: ref('client-secret'),
    caSecretRef: ref('login-ca'),
  },
}
const specOf = (document: unknown) => (document as { spec: unknown }).spec

describe('the Secrets of a spec', () => {
  it.each([
    ['passwords and certificates', ALL, 16],
    ['client credentials', { ...ALL, 'spec.source.sasl': CLIENT_CREDENTIALS }, 16],
  ])('are found in every field from which the checked spec reads a Secret: %s', (_name, changes, count) => {
    const document = documentWith(changes)
    const { spec } = checkPipeline(document)
    const refs = [sourceSecrets, sinkSecrets, ingestSecrets].flatMap(secretsOf => secretsOf(spec))
    const expected = new Set(refs.map(({ name }) => name))
    expect(expected.size).toBe(count)
    expect([...referencedSecrets(specOf(document))].sort()).toEqual([...expected].sort())
  })

  it('do not include other values that equal the name of a Secret', () => {
    const document = documentWith({
      'spec.source.topic': 'login',
      'spec.aggregations[0].name': 'login',
      'spec.aggregations[0].measures[0].name': 'login',
      'spec.sinks': { postgres: { passwordSecretRef: { name: 'pg', key: 'login' } } },
    })
    expect([...referencedSecrets(specOf(document))]).toEqual(['pg'])
  })

  it.each([
    undefined,
    null,
    'text',
    {},
    { sinks: { postgres: { passwordSecretRef: null } } },
    { aSecretRef: { name: 3 } },
  ])('are none in the malformed spec %j', spec => expect([...referencedSecrets(spec)]).toEqual([]))
})
