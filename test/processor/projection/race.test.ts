/** Another pipeline creates the index or its template between our look and our request. */
import { expect, it, onTestFinished } from 'vitest'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { compiledFor, OWNERSHIP } from './fixture.ts'
import { type Answer, healthy, ScriptedSink } from './scripted-sink.ts'

const TEMPLATE = '/_index_template/scripted-template'
const INDEX = '/scripted-by-store'
const _meta = { salesPipeline: 'default/projected/5678' }

const exists = (type: string, reason: string): Answer => ({
  status: 400,
  body: { status: 400, error: { type, reason } },
})

/** Prepares with a server on which `path` appears, as `found`, at the first PUT, which fails with `error`. */
async function prepare(path: string, read: string, found: object, error: Answer) {
  const server = new ScriptedSink()
  await server.start()
  let isThere = false
  server.script = request => {
    const { method } = request
    const requested = request.path.split('?')[0]
    if (method === 'PUT' && requested === path) {
      isThere = true
      return error
    }
    return method === 'GET' && requested === read && isThere ? { status: 200, body: found } : healthy(request)
  }
  const sink = createElasticsearchSink({ nodes: [server.url], compiled: compiledFor('scripted'), log: () => {} })
  onTestFinished(async () => {
    await sink.close()
    await server.stop()
  })
  const failure = await sink.prepare(OWNERSHIP).catch(error => error)
  return { failure, requests: server.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`) }
}

it('refuses an index template that another pipeline creates at the same moment, and creates no index', async () => {
  const found = { index_templates: [{ name: 'scripted-template', index_template: { _meta } }] }
  const error = exists('illegal_argument_exception', 'index template [scripted-template] already exists')
  const { failure, requests } = await prepare(TEMPLATE, TEMPLATE, found, error)
  expect(failure).toMatchObject({
    condition: 'IndexOwnedByOther',
    message: expect.stringContaining('index template scripted-template belongs to another pipeline'),
  })
  expect(requests.at(-1)).toBe(`GET ${TEMPLATE}`)
})

it('refuses an index that another pipeline creates at the same moment, and changes nothing in it', async () => {
  const found = { 'scripted-by-store': { mappings: { _meta } } }
  const error = exists('resource_already_exists_exception', 'index [scripted-by-store] already exists')
  const { failure, requests } = await prepare(INDEX, `${INDEX}/_mapping`, found, error)
  expect(failure).toMatchObject({
    condition: 'IndexOwnedByOther',
    message: expect.stringContaining('index scripted-by-store belongs to another pipeline'),
  })
  expect(requests.at(-1)).toBe(`GET ${INDEX}/_mapping`)
})
