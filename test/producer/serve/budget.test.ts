/** The memory of requests in progress, over real HTTP with a fake Kafka. */
import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { defaultInFlight } from '#producer/serve/budget.ts'
import { until } from '#test/support/until.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const KIB = 1024
const LIMIT = 200 * KIB
const sale = (note = '') => ecommerceSale({ note })

async function listening(options: { receiveWithinMs?: number; maxBodyBytes?: number } = {}) {
  const served = await ingestApp(ecommerce('unused:9092', 'transactions').spec, { maxInFlightBytes: LIMIT, ...options })
  await served.app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => {
    served.app.server.closeAllConnections()
    return served.app.close()
  })
  const { port } = served.app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/transactions`
  return {
    ...served,
    idle: () => until('no request holds memory', () => served.budget.usedBytes === 0, 3000),
    /** Sends the beginning of a body of `length` bytes. */
    begin(part: string, length: number): ClientRequest {
      const headers = { 'content-type': 'application/json', 'content-length': length }
      const begun = request(url, { method: 'POST', headers, agent: false })
      begun.on('error', () => {})
      begun.write(part)
      return begun
    },
    async send(body: string | Buffer, headers: Record<string, string> = {}) {
      const sent = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }
      const response = await fetch(url, sent)
      return {
        status: response.status,
        retryAfter: response.headers.get('retry-after'),
        connection: response.headers.get('connection'),
        error: ((await response.json()) as { error?: string }).error,
      }
    },
  }
}

async function answerOf(begun: ClientRequest): Promise<{ status: number | undefined; body: string }> {
  const [response] = (await once(begun, 'response')) as [IncomingMessage]
  return { status: response.statusCode, body: await text(response) }
}

describe('memory of requests in progress', () => {
  it('counts the bytes of bodies that have arrived in part, and refuses further requests with 429', async () => {
    const { begin, send, budget, idle } = await listening()
    const begun = begin('x'.repeat(150 * KIB), 160 * KIB)
    await until('the part has arrived', () => budget.usedBytes > 150 * KIB)
    expect(await send(sale('y'.repeat(50 * KIB)))).toMatchObject({
      status: 429,
      retryAfter: '1',
      error: expect.stringContaining('nothing was sent. Send the request again later'),
    })
    begun.destroy()
    await idle()
    expect((await send(sale())).status).toBe(202)
  })

  it('does not count bytes that were announced and did not arrive', async () => {
    const { begin, send, budget } = await listening()
    for (let i = 0; i < 5; i++) begin('[', 1000 * KIB)
    await until('five requests are there', () => budget.usedBytes > 5 * 16 * KIB)
    expect((await send(sale())).status).toBe(202)
  })

  it('counts the decompressed bytes too', async () => {
    const { send, idle } = await listening()
    const zipped = gzipSync(sale('y'.repeat(190 * KIB)))
    expect((await send(zipped, { 'content-encoding': 'gzip' })).status).toBe(429)
    await idle()
  })

  it('counts requests that wait for Kafka', async () => {
    const { send, acknowledge, idle } = await listening()
    acknowledge.pause()
    const waiting = send(sale('y'.repeat(180 * KIB)))
    await until('a request waits for Kafka', () => acknowledge.waiting === 1)
    expect((await send(sale())).status).toBe(429)
    acknowledge.resume()
    expect((await waiting).status).toBe(202)
    await idle()
  })

  it.each([
    ['202', sale(), {}],
    ['400', '{}', {}],
    ['400', 'nonsense', {}],
    ['400', 'nonsense', { 'content-encoding': 'gzip' }],
    ['413', 'x'.repeat(60 * KIB), {}],
    ['413', gzipSync('x'.repeat(60 * KIB)), { 'content-encoding': 'gzip' }],
    ['415', sale(), { 'content-encoding': 'zstd' }],
    ['415', sale(), { 'content-type': 'text/plain' }],
  ])('frees the memory of a request after %s (%#)', async (status, body, headers) => {
    const { send, idle } = await listening({ maxBodyBytes: 50 * KIB })
    expect((await send(body, headers as Record<string, string>)).status).toBe(Number(status))
    await idle()
  })

  it('refuses a chunked body that grows too large before its end, and reads the rest of it', async () => {
    const { budget, idle, app } = await listening({ maxBodyBytes: 50 * KIB })
    const { port } = app.server.address() as AddressInfo
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
    const begun = request({ port, method: 'POST', path: '/transactions', headers, agent: false })
    begun.write('x'.repeat(60 * KIB))
    expect((await answerOf(begun)).status).toBe(413)
    expect(budget.usedBytes).toBe(0)
    for (let i = 0; i < 50; i++) begun.write('x'.repeat(60 * KIB))
    begun.end()
    await once(begun, 'close')
    await idle()
  })
})

it('closes a connection whose request does not arrive in time, with 408', async () => {
  const { app, begin, idle, send } = await listening({ receiveWithinMs: 500 })
  const slow = Array.from({ length: 5 }, () => begin('[', 100))
  const dripping = setInterval(() => slow[0]!.write(' '), 100)
  onTestFinished(() => clearInterval(dripping))
  const silent = connect((app.server.address() as AddressInfo).port, '127.0.0.1').resume()
  const answers = await Promise.all(slow.map(answerOf))
  if (!silent.closed) await once(silent, 'close')
  expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(408))
  await idle()
  expect((await send(sale())).status).toBe(202)
})

it('accepts any time for a request to arrive', async () => {
  const { send } = await listening({ receiveWithinMs: 3_600_000 })
  expect((await send(sale())).status).toBe(202)
})

it('accepts a request on the connection of a refused one', async () => {
  const { app } = await listening({ maxBodyBytes: 50 * KIB })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const statuses = []
  for (const body of ['x'.repeat(500 * KIB), sale(), gzipSync('x'.repeat(100 * KIB)), sale()]) {
    const isZipped = typeof body !== 'string'
    const headers = { 'content-type': 'application/json', ...(isZipped && { 'content-encoding': 'gzip' }) }
    const begun = request({ port, method: 'POST', path: '/transactions', headers, agent })
    begun.end(body)
    statuses.push((await answerOf(begun)).status, begun.reusedSocket)
  }
  expect(statuses).toEqual([413, false, 202, true, 413, true, 202, true])
})

describe('the memory for requests in progress', () => {
  const MIB = 1024 ** 2
  it.each([
    [undefined, 64],
    ['', 64],
    ['many', 64],
    [String(512 * MIB), 64],
    [String(384 * MIB), 32],
    [String(1024 * MIB), 128],
    [String(64 * 1024 * MIB), 256],
    [String(128 * MIB), 8],
  ])('follows a memory limit of %s bytes: %i MiB', (limit, expected) =>
    expect(defaultInFlight(limit)).toBe(expected * MIB),
  )
})
