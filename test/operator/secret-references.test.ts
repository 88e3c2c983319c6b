import { describe, expect, it } from 'vitest'
import { envSecretsOf } from '#operator/secret-references.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { podSecrets } from '#pipeline/secrets.ts'
import { documentWith } from '../pipeline/documents.ts'

const from = (name: string, secret: string) => ({ name, valueSecretRef: { name: secret, key: 'k' } })

describe('the Secrets of variables', () => {
  it('returns the Secrets of variables that the checked spec reads, each once', () => {
    const document = documentWith({
      'spec.pods': { env: [from('A', 'one'), { name: 'B', value: 'two' }, from('C', 'three'), from('D', 'one')] },
      'spec.sinks': { postgres: { passwordSecretRef: { name: 'pg', key: 'login' }, insecure: true } },
    }) as { spec: unknown }
    const checked = podSecrets(checkPipeline(document).spec).map(({ name }) => name)
    expect([...envSecretsOf(document.spec)]).toEqual(['one', 'three'])
    expect(new Set(checked)).toEqual(envSecretsOf(document.spec))
  })

  it.each([
    undefined,
    null,
    'text',
    {},
    { pods: null },
    { pods: { env: 7 } },
    { pods: { env: [null, 'A', { valueSecretRef: null }, { valueSecretRef: { name: 3 } }] } },
  ])('returns no Secrets of variables for the malformed spec %j', spec => expect([...envSecretsOf(spec)]).toEqual([]))
})
