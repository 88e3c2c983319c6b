import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { ElasticsearchRemoval } from '#processor/adapters/elasticsearch/removal.ts'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { Retryable } from '#processor/errors.ts'
import { elasticsearch, unique } from '#test/support/services.ts'
import { adopting, compiledFor, minuteRow, OWNERSHIP } from '../projection/fixture.ts'
import { ok, ScriptedSink } from '../projection/scripted-sink.ts'

const { owner: OWNER } = OWNERSHIP
const OTHER = 'default/projected/5678'

let url: string
beforeAll(async () => {
  url = (await elasticsearch()).url
})

/** Sends plain HTTP, not through the client under test. Resolves with undefined for 404. */
async function send(method: string, path: string, body?: object): Promise<Record<string, never> | undefined> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
  if (answer.status === 404) return undefined
  if (!answer.ok) throw new Error(await answer.text())
  return (method === 'HEAD' ? {} : await answer.json()) as Record<string, never>
}

/** Projects a row of a pipeline. Returns index and template of its first projection. */
async function projected(
  owner = OWNER,
  prefix = unique('removed'),
  { adopt = false, inherited = [] as string[] } = {},
) {
  const compiled = adopt ? adopting(compiledFor(prefix)) : compiledFor(prefix)
  const connection = { nodes: [url], requestTimeoutMs: 60_000 }
  const sink = createElasticsearchSink({ ...connection, compiled, log: () => {} })
  onTestFinished(() => sink.close())
  await sink.prepare({ owner, inherited })
  expect(await sink.write([minuteRow(compiled, 'a', 1n, {}, { owner, replacing: false })])).toEqual([])
  return { compiled, prefix, index: `${prefix}-by-store`, template: `${prefix}-template` }
}

/** Returns the result for index and template of the first projection, then of the second. */
async function remove(compiled: CompiledSpec, nodes = [url]): Promise<string[]> {
  const removal = new ElasticsearchRemoval({ nodes, requestTimeoutMs: 60_000 }, compiled)
  try {
    const results: string[] = []
    for (const stored of removal.stored(OWNER)) results.push(await stored.remove())
    return results
  } finally {
    await removal.close()
  }
}

async function ids(index: string): Promise<string[]> {
  const { hits } = (await send('GET', `/${index}/_search`)) as unknown as { hits: { hits: { _id: string }[] } }
  return hits.hits.map(({ _id }) => _id).sort()
}

const exists = async (path: string) => (await send('GET', path)) !== undefined

describe('ElasticsearchRemoval', () => {
  it('removes indices and templates that the projection created, and then finds none', async () => {
    const { compiled, prefix, index, template } = await projected()
    expect(await remove(compiled)).toEqual(['ours', 'ours', 'ours', 'ours'])
    for (const path of [
      `/${index}`,
      `/${prefix}-all-time`,
      `/_index_template/${template}`,
      `/_index_template/${prefix}-all-time`,
    ])
      expect(await exists(path), path).toBe(false)
    expect(await remove(compiled)).toEqual(['absent', 'absent', 'absent', 'absent'])
  })

  it('removes a closed index', async () => {
    const { compiled, index } = await projected()
    await send('POST', `/${index}/_close`)
    expect(await remove(compiled)).toEqual(['ours', 'ours', 'ours', 'ours'])
    expect(await exists(`/${index}`)).toBe(false)
  })

  it('leaves indices and templates of another pipeline alone', async () => {
    const { compiled, index, template } = await projected(OTHER)
    expect(await remove(compiled)).toEqual(['foreign', 'foreign', 'foreign', 'foreign'])
    expect(await send('GET', `/${index}/_count`)).toMatchObject({ count: expect.any(Number) })
    expect(await exists(`/_index_template/${template}`)).toBe(true)
  })

  it('removes only its own documents from an adopted index that another pipeline uses too', async () => {
    const prefix = unique('foreign')
    await send('PUT', `/${prefix}-by-store`, { mappings: { _meta: { team: 'sales' } } })
    await send('PUT', `/${prefix}-by-store/_doc/theirs`, {})
    await projected(OTHER, prefix, { adopt: true })
    await send('DELETE', `/${prefix}-all-time`)
    await send('DELETE', `/_index_template/${prefix}-all-time`)
    const { compiled, index } = await projected(OWNER, prefix, { adopt: true })
    expect(await remove(compiled)).toEqual(['adopted', 'absent', 'ours', 'ours'])
    await send('POST', `/${index}/_refresh`)
    expect(await ids(index)).toEqual(
      [minuteRow(compiled, 'a', 1n, {}, { owner: OTHER, replacing: false }).id, 'theirs'].sort(),
    )
    expect((await send('GET', `/${index}/_mapping`))![index]).toMatchObject({ mappings: { _meta: { team: 'sales' } } })
    expect((await remove(compiled))[0]).toBe('foreign')
  })

  it('removes more documents than fit into one page of a search', async () => {
    const prefix = unique('pages')
    await send('PUT', `/${prefix}-by-store`, {})
    const { compiled, index } = await projected(OWNER, prefix, { adopt: true })
    const sink = createElasticsearchSink({ nodes: [url], requestTimeoutMs: 60_000, compiled, log: () => {} })
    onTestFinished(() => sink.close())
    expect(await sink.write(Array.from({ length: 12_000 }, (_, i) => minuteRow(compiled, `s${i}`, 1n)))).toEqual([])
    expect((await remove(compiled))[0]).toBe('adopted')
    await send('POST', `/${index}/_refresh`)
    expect(await send('GET', `/${index}/_count`)).toMatchObject({ count: 0 })
  })

  it('keeps an index and a template of release 0.3.0, whose mark several pipelines may have', async () => {
    const prefix = unique('inherited')
    const _meta = { salesPipeline: 'default/projected' }
    await send('PUT', `/${prefix}-by-store`, { mappings: { _meta } })
    await send('PUT', `/_index_template/${prefix}-template`, { index_patterns: [`${prefix}-by-store`], _meta })
    await send('PUT', `/${prefix}-by-store/_doc/theirs`, {})
    const { compiled, index } = await projected(OWNER, prefix, { inherited: [`${prefix}-by-store`] })
    expect(await remove(compiled)).toEqual(['adopted', 'foreign', 'ours', 'ours'])
    await send('POST', `/${index}/_refresh`)
    expect(await ids(index)).toEqual(['theirs'])
  })

  it('leaves a template alone that a person wrote over ours', async () => {
    const { compiled, index, template } = await projected()
    await send('PUT', `/_index_template/${template}`, { index_patterns: [index], priority: 500 })
    expect(await remove(compiled)).toEqual(['ours', 'foreign', 'ours', 'ours'])
    expect(await exists(`/_index_template/${template}`)).toBe(true)
  })

  it('removes the index behind an alias, but not if it is foreign', async () => {
    const { compiled, index } = await projected()
    await send('PUT', `/${index}/_settings`, { 'index.blocks.write': true })
    await send('POST', `/${index}/_clone/${index}-2?wait_for_active_shards=1`)
    await send('DELETE', `/${index}`)
    await send('PUT', `/${index}-2/_alias/${index}`)
    expect((await remove(compiled))[0]).toBe('ours')
    expect(await exists(`/${index}-2`)).toBe(false)
    await send('PUT', `/${index}-3`, { aliases: { [index]: {} } })
    expect((await remove(compiled))[0]).toBe('foreign')
    expect(await exists(`/${index}-3`)).toBe(true)
  })
})

describe('ElasticsearchRemoval with a scripted server', () => {
  const compiled = compiledFor('scripted')
  const ownMapping = { 'scripted-by-store': { mappings: { _meta: { salesPipeline: OWNER } } } }
  let sink: ScriptedSink
  const started = async () => {
    sink = new ScriptedSink()
    await sink.start()
    return sink
  }
  afterEach(() => sink?.stop())

  it('fails with Retryable when the server is down, refuses access, or does not acknowledge', async () => {
    const { url: scripted } = await started()
    const attempt = () => remove(compiled, [scripted]).catch(error => error)
    sink.script = () => ({ status: 503, body: { error: { type: 'some_exception', reason: 'not now' }, status: 503 } })
    expect(await attempt()).toMatchObject({
      message: expect.stringContaining('reading index scripted-by-store: 503'),
    })
    sink.script = () => ({ status: 403, body: { error: { type: 'security_exception', reason: 'no' }, status: 403 } })
    expect(await attempt()).toMatchObject({ message: expect.stringContaining('Grant user anonymous') })
    sink.script = ({ method }) => ({ status: 200, body: method === 'GET' ? ownMapping : { acknowledged: false } })
    expect(await attempt()).toMatchObject({
      message: expect.stringContaining('removing index scripted-by-store: not ack'),
    })
    await sink.stop()
    expect(await attempt()).toBeInstanceOf(Retryable)
  })

  it('sends no DELETE for an index or template without our mark', async () => {
    const { url: scripted } = await started()
    sink.script = ({ path }) => (path.includes('_mapping') ? { status: 200, body: {} } : ok)
    expect(await remove(compiled, [scripted])).toEqual(['absent', 'absent', 'absent', 'absent'])
    expect(new Set(sink.requests.map(({ method }) => method))).toEqual(new Set(['GET']))
  })
})
