import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parsePipeline } from '#pipeline/parse.ts'
import { openElasticsearchSink } from '#processor/adapters/elasticsearch/open.ts'
import { OWNERSHIP } from './fixture.ts'
import { ScriptedSink } from './scripted-sink.ts'

const SECRETS = 'usernameSecretRef: { name: es-user, key: name }, passwordSecretRef: { name: es-user, key: pass.word }'

let server: ScriptedSink
beforeEach(async () => {
  server = new ScriptedSink()
  await server.start()
})
afterEach(() => server.stop())

function open(secrets: string, env: NodeJS.ProcessEnv) {
  const pipeline = parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: opened }
spec:
  source: { topic: sales }
  event: { time: { path: at } }
  aggregations: [{ name: totals, measures: [{ name: orders, op: count }] }]
  sinks:
    elasticsearch: { nodes: ["${server.url}"], projections: [{ aggregation: totals, index: totals }], ${secrets} }
`)
  return openElasticsearchSink(pipeline, env, () => {})
}

async function authorizationOf(sink: ReturnType<typeof open>): Promise<string | undefined> {
  await sink.prepare(OWNERSHIP)
  await sink.close()
  return server.requests[0]!.authorization
}

describe('openElasticsearchSink', () => {
  it('reads user and password from the environment', async () => {
    const sink = open(SECRETS, { SECRET_ES_USER_NAME: 'projector', SECRET_ES_USER_PASS_WORD: 'sesame:open' })
    expect(await authorizationOf(sink)).toBe(`Basic ${btoa('projector:sesame:open')}`)
  })

  it('connects without a user if the spec names none', async () => {
    expect(await authorizationOf(open('', {}))).toBeUndefined()
  })

  it('names the missing variable', () => {
    expect(() => open(SECRETS, { SECRET_ES_USER_NAME: 'projector' })).toThrow(
      /^environment variable SECRET_ES_USER_PASS_WORD is not set; set it to the value of key /,
    )
  })

  it('refuses a user without a password', () => {
    const half = 'usernameSecretRef: { name: es-user, key: name }'
    expect(() => open(half, { SECRET_ES_USER_NAME: 'projector' })).toThrow(
      /set both usernameSecretRef and passwordSecretRef/,
    )
  })
})
