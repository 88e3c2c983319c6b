/** The ingest with a real Kafka, over real HTTP. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Served, startServe } from '#producer/serve/server.ts'
import { ownFolder } from '#test/support/folder.ts'
import { pauseProcess } from '#test/support/pause-process.ts'
import { createTopic, kafka, ownKafka, unique } from '#test/support/services.ts'
import { readJournal } from '#verify/journal.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { readBack } from '../read-back.ts'
import { LIMITS } from './fixture.ts'

/** A test's own broker starts slowly on a busy machine. */
const BROKER_MS = 300_000

const SETTINGS = { ...LIMITS, auth: { insecure: false } }

const sale = (id: string | number, more: Record<string, unknown> = {}) =>
  ecommerceSale({ transaction_id: id, timestamp: new Date().toISOString(), ...more })

async function post(served: Served, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${served.url}/sales`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as { error?: string; offsets: { partition: number; offset: number }[] },
  }
}

it(
  'serves metrics, probes and documentation on a port of their own, and not on the port for sales',
  async () => {
    const { bootstrap } = await kafka()
    const topic = unique('private')
    await createTopic(bootstrap, topic, 1)
    const start = (HTTP_PORT: string) =>
      startServe({ ...SETTINGS, pipeline: ecommerce(bootstrap, topic), env: { HTTP_PORT } })
    const served = await start('0')
    onTestFinished(() => served.close())
    const statuses = (base: string) =>
      Promise.all(
        ['/metrics', '/docs', '/openapi.json', '/healthz', '/readyz'].map(
          async path => (await fetch(base + path)).status,
        ),
      )
    expect(await statuses(`http://127.0.0.1:${served.metricsPort}`)).toEqual([200, 200, 200, 200, 200])
    expect(await statuses(served.url)).toEqual([404, 404, 404, 200, 200])
    expect(await (await fetch(`${served.url}/docs`)).text()).not.toContain('GET /docs')
    const docs = await fetch(`http://127.0.0.1:${served.metricsPort}/docs`)
    expect([docs.headers.get('content-type'), await docs.text()]).toEqual([
      'text/html; charset=utf-8',
      expect.stringContaining(`ADDRESS_OF_THE_INGEST/${topic}`),
    ])
    const openapi = await (await fetch(`http://127.0.0.1:${served.metricsPort}/openapi.json`)).json()
    expect(Object.keys((openapi as { paths: object }).paths)).toEqual([`/${topic}`])
    await expect(start('99999')).rejects.toThrow(/HTTP_PORT must be a whole number from 0 to 65535/)
    await expect(start(String(served.metricsPort))).rejects.toThrow(/Set HTTP_PORT to a free port/)
  },
  BROKER_MS,
)

describe('the ingest with a healthy Kafka', () => {
  let bootstrap: string
  let topic: string
  let served: Served
  const send = async (body: string, headers?: Record<string, string>) => {
    const response = await fetch(`${served.url}/${topic}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })
    return {
      status: response.status,
      body: (await response.json()) as { error: string; offsets: { partition: number; offset: number }[] },
    }
  }

  beforeAll(async () => {
    ;({ bootstrap } = await kafka())
    topic = unique('ingest')
    await createTopic(bootstrap, topic, 3, { 'max.message.bytes': '20000' })
    served = await startServe({ ...SETTINGS, pipeline: ecommerce(bootstrap, topic), env: {} })
  })
  afterAll(() => served?.close())

  it('writes a journal that agrees with the log', async () => {
    const journal = ownFolder('journal')
    const own = unique('journalled')
    await createTopic(bootstrap, own, 2)
    const journalling = await startServe({ ...SETTINGS, pipeline: ecommerce(bootstrap, own), journal, env: {} })
    for (const id of ['a', 'b']) {
      const headers = { 'content-type': 'application/json' }
      await fetch(`${journalling.url}/${own}`, { method: 'POST', body: sale(id), headers })
    }
    await journalling.close()
    const read = await readJournal(journal)
    for (const { partition, offset, key, value } of await readBack(bootstrap, own))
      read.checkOff(partition, offset, key, value)
    expect([read.foreign, read.lostFromLog(), read.sent, read.acknowledged]).toEqual([0, 0, 2, 2])
  })

  it('stores the exact bytes of accepted sales at the positions that it returns', async () => {
    const singles = Array.from({ length: 200 }, (_, i) => sale(`single-${i}`).replace('12.50', `1${i}.10`))
    const batch = Array.from({ length: 50 }, (_, i) => sale(1000 + i))
    const responses = await Promise.all([...singles.map(text => send(text)), send(`[${batch.join(' , ')}]`)])
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 202))
    const positions = responses.flatMap(({ body }) => body.offsets)
    const log = new Map(
      (await readBack(bootstrap, topic)).map(record => [`${record.partition}/${record.offset}`, record]),
    )
    expect(log.size).toBe(250)
    ;[...singles, ...batch].forEach((text, i) => {
      const record = log.get(`${positions[i]!.partition}/${positions[i]!.offset}`)!
      expect(record.value!.toString()).toBe(text)
      expect(record.key!.toString()).toBe(String(JSON.parse(text).transaction_id))
    })
    expect(new Set(positions.map(({ partition }) => partition)).size).toBe(3)
  })

  it('sends the same id to the same partition, as a string or a number', async () => {
    const responses = await Promise.all([send(sale(77)), send(sale('77')), send(sale(77))])
    expect(new Set(responses.map(({ body }) => body.offsets[0]!.partition)).size).toBe(1)
  })

  it('stores nothing of a batch with a fault (400)', async () => {
    const before = (await readBack(bootstrap, topic)).length
    expect((await send(`[${sale('good')},${sale('bad', { amount: 'much' })}]`)).status).toBe(400)
    expect((await readBack(bootstrap, topic)).length).toBe(before)
  })

  it('refuses an event that is too large for the topic (413) and accepts concurrent ones', async () => {
    const [large, small] = await Promise.all([send(sale('large', { note: 'x'.repeat(30_000) })), send(sale('small'))])
    expect([large.status, large.body.error]).toEqual([
      413,
      'an event of this request is larger than max.message.bytes of the topic; send a smaller event. Other events of the request may be stored; send them again with the same ids',
    ])
    expect(small.status).toBe(202)
    expect((await send(sale('after'))).status).toBe(202)
  })

  it('puts the client’s trace context into the record’s headers', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await send(sale('traced'), { traceparent })
    await send(sale('untraced'))
    const headers = new Map((await readBack(bootstrap, topic)).map(record => [record.key!.toString(), record.headers]))
    expect(headers.get('traced')).toEqual({ traceparent })
    expect(headers.get('untraced')).toEqual({})
  })

  it('reports the ingest as ready with a healthy Kafka', async () => {
    const ready = await fetch(`${served.url}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([200, { ok: true, reasons: [] }])
  })
})

it('returns 429 above its bound and 503 on timeout while Kafka hangs, and recovers afterwards', {
  timeout: BROKER_MS,
}, async () => {
  const broker = await ownKafka('ingest-hang')
  onTestFinished(() => broker.stop())
  await createTopic(broker.bootstrap, 'sales', 1)
  const served = await startServe({
    ...SETTINGS,
    pipeline: ecommerce(broker.bootstrap, 'sales'),
    answerWithinMs: 2000,
    maxInFlightBytes: 64 * 1024,
    env: {},
  })
  onTestFinished(() => served.close())
  expect((await post(served, sale('before'))).status).toBe(202)
  onTestFinished(() => void process.kill(broker.pid, 'SIGCONT'))
  await pauseProcess(broker.pid)
  const waiting = post(served, sale('waiting'))
  const full = await post(served, sale('too much', { note: 'x'.repeat(48 * 1024) }))
  expect(full).toMatchObject({ status: 429, retryAfter: '1' })
  const late = await waiting
  expect(late).toMatchObject({ status: 503, retryAfter: '5' })
  expect(late.body.error).toContain('it is unknown whether Kafka stored the sales')
  const refused = await post(served, sale('refused'))
  expect(refused).toMatchObject({
    status: 503,
    body: { error: 'Kafka does not respond; nothing was sent. Send the request again later' },
  })
  expect((await fetch(`${served.url}/readyz`)).status).toBe(503)
  expect((await fetch(`${served.url}/healthz`)).status).toBe(200)
  process.kill(broker.pid, 'SIGCONT')
  while ((await fetch(`${served.url}/readyz`)).status !== 200) await sleep(100)
  expect((await post(served, sale('after'))).status).toBe(202)
  const keys = (await readBack(broker.bootstrap, 'sales')).map(({ key }) => key!.toString())
  expect(keys).toEqual(['before', 'waiting', 'after'])
})

it('holds requests while Kafka restarts and stores each once', {
  timeout: BROKER_MS,
}, async () => {
  const broker = await ownKafka('ingest-restart')
  onTestFinished(() => broker.stop())
  await createTopic(broker.bootstrap, 'sales', 2)
  const served = await startServe({
    ...SETTINGS,
    pipeline: ecommerce(broker.bootstrap, 'sales'),
    answerWithinMs: 120_000,
    env: {},
  })
  onTestFinished(() => served.close())
  expect((await post(served, sale('before'))).status).toBe(202)
  await broker.kill()
  const waiting = Array.from({ length: 20 }, (_, i) => post(served, sale(`waiting-${i}`)))
  expect((await fetch(`${served.url}/readyz`)).status).toBe(503)
  await broker.start()
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 202))
  const keys = (await readBack(broker.bootstrap, 'sales')).map(({ key }) => key!.toString())
  expect(keys.sort()).toEqual(['before', ...waiting.map((_, i) => `waiting-${i}`)].sort())
})
