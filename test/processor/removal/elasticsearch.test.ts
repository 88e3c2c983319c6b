import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { ElasticsearchRemoval } from '#processor/adapters/elasticsearch/removal.ts'
import { createElasticsearchSink } from '#processor/adapters/elasticsearch/sink.ts'
import { Retryable } from '#processor/errors.ts'
import { elasticsearch, unique } from '#test/support/services.ts'
import { compiledFor, minuteRow } from '../projection/fixture.ts'
import { ok, ScriptedSink } from '../projection/scripted-sink.ts'

const OWNER = 'default/projected'

let url: string
beforeAll(async () => {
  url = (await elasticsearch()).url
})

/** By plain HTTP, not through the client under test. Undefined for 404. */
async function ask(method: string, path: string, body?: object): Promise<Record<string, never> | undefined> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
  if (answer.status === 404) return undefined
  if (!answer.ok) throw new Error(await answer.text())
  return (method === 'HEAD' ? {} : await answer.json()) as Record<string, never>
}

/** A pipeline that has shown a row; index and template are those of its first projection. */
async function projected(owner = OWNER, prefix = unique('removed')) {
  const compiled = compiledFor(prefix)
  const connection = { nodes: [url], requestTimeoutMs: 60_000 }
  const sink = createElasticsearchSink({ ...connection, compiled, owner, log: () => {} })
  onTestFinished(() => sink.close())
  await sink.prepare()
  expect(await sink.write([minuteRow(compiled, 'a', 1n)])).toEqual([])
  return { compiled, prefix, index: `${prefix}-by-store`, template: `${prefix}-template` }
}

/** What each was: index and template of the first projection, then of the second. */
async function remove(compiled: CompiledSpec, nodes = [url]): Promise<string[]> {
  const removal = new ElasticsearchRemoval({ nodes, requestTimeoutMs: 60_000 }, compiled, OWNER)
  try {
    const were: string[] = []
    for (const stored of removal.stored) were.push(await stored.remove())
    return were
  } finally {
    await removal.close()
  }
}

const exists = async (path: string) => (await ask('GET', path)) !== undefined

describe('the removal of indices and templates', () => {
  it('takes those that the projection made, and then finds none', async () => {
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

  it('takes an index that is closed', async () => {
    const { compiled, index } = await projected()
    await ask('POST', `/${index}/_close`)
    expect(await remove(compiled)).toEqual(['ours', 'ours', 'ours', 'ours'])
    expect(await exists(`/${index}`)).toBe(false)
  })

  it('leaves another pipeline’s alone', async () => {
    const { compiled, index, template } = await projected('default/other')
    expect(await remove(compiled)).toEqual(['foreign', 'foreign', 'foreign', 'foreign'])
    expect(await ask('GET', `/${index}/_count`)).toMatchObject({ count: expect.any(Number) })
    expect(await exists(`/_index_template/${template}`)).toBe(true)
  })

  it('leaves an index alone that a person made, although the pipeline wrote into it', async () => {
    const prefix = unique('persons')
    await ask('PUT', `/${prefix}-by-store`, { mappings: { _meta: { team: 'sales' } } })
    const { compiled, index } = await projected(OWNER, prefix)
    expect(await remove(compiled)).toEqual(['foreign', 'ours', 'ours', 'ours'])
    await ask('POST', `/${index}/_refresh`)
    expect(await ask('GET', `/${index}/_count`)).toMatchObject({ count: 1 })
    expect((await ask('GET', `/${index}/_mapping`))![index]).toMatchObject({ mappings: { _meta: { team: 'sales' } } })
  })

  it('leaves a template alone that a person wrote in the place of ours', async () => {
    const { compiled, index, template } = await projected()
    await ask('PUT', `/_index_template/${template}`, { index_patterns: [index], priority: 500 })
    expect(await remove(compiled)).toEqual(['ours', 'foreign', 'ours', 'ours'])
    expect(await exists(`/_index_template/${template}`)).toBe(true)
  })

  it('finds the index behind an alias, and leaves it alone where it is not ours', async () => {
    const { compiled, index } = await projected()
    await ask('PUT', `/${index}/_settings`, { 'index.blocks.write': true })
    await ask('POST', `/${index}/_clone/${index}-2?wait_for_active_shards=1`)
    await ask('DELETE', `/${index}`)
    await ask('PUT', `/${index}-2/_alias/${index}`)
    expect((await remove(compiled))[0]).toBe('ours')
    expect(await exists(`/${index}-2`)).toBe(false)
    await ask('PUT', `/${index}-3`, { aliases: { [index]: {} } })
    expect((await remove(compiled))[0]).toBe('foreign')
    expect(await exists(`/${index}-3`)).toBe(true)
  })
})

describe('a server that misbehaves', () => {
  const compiled = compiledFor('scripted')
  const mine = { 'scripted-by-store': { mappings: { _meta: { salesPipeline: OWNER } } } }
  let sink: ScriptedSink
  const started = async () => {
    sink = new ScriptedSink()
    await sink.start()
    return sink
  }
  afterEach(() => sink?.stop())

  it('is asked again when it is away, refuses us, or did not finish', async () => {
    const { url: other } = await started()
    const attempt = () => remove(compiled, [other]).catch(error => error)
    sink.script = () => ({ status: 503, body: { error: { type: 'some_exception', reason: 'not now' }, status: 503 } })
    expect(await attempt()).toMatchObject({
      message: expect.stringContaining('looking at index scripted-by-store: 503'),
    })
    sink.script = () => ({ status: 403, body: { error: { type: 'security_exception', reason: 'no' }, status: 403 } })
    expect(await attempt()).toMatchObject({ message: expect.stringContaining('give user anonymous') })
    sink.script = ({ method }) => ({ status: 200, body: method === 'GET' ? mine : { acknowledged: false } })
    expect(await attempt()).toMatchObject({
      message: expect.stringContaining('removing index scripted-by-store: not ack'),
    })
    await sink.stop()
    expect(await attempt()).toBeInstanceOf(Retryable)
  })

  it('is not asked to remove what it does not call ours', async () => {
    const { url: other } = await started()
    sink.script = ({ path }) => (path.includes('_mapping') ? { status: 200, body: {} } : ok)
    expect(await remove(compiled, [other])).toEqual(['absent', 'absent', 'absent', 'absent'])
    expect(new Set(sink.asked.map(({ method }) => method))).toEqual(new Set(['GET']))
  })
})
