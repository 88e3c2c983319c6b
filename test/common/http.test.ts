import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import { httpHost, json, metricsPage, probe, type Routes, startHttpServer } from '#common/http.ts'
import { UserError } from '#pipeline/user-error.ts'

const ROUTES: Routes = {
  'GET /status': () => json(200, { name: 'ü' }),
  'GET /readyz': () => probe(false, ['caches not synced']),
  'GET /healthz': () => probe(true, []),
  'GET /metrics': () => metricsPage({ contentType: 'text/plain; version=0.0.4', metrics: async () => 'up 1\n' }),
  'GET /broken': () => Promise.reject(new Error('out of order')),
  'DELETE /members/': rest => json(200, { rest }),
}

async function served(routes = ROUTES) {
  const server = await startHttpServer({ port: 0, host: '127.0.0.1', routes })
  onTestFinished(() => server.close())
  const send = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method })
  return { port: server.port, send }
}

describe('the HTTP server', () => {
  it('serves a route with its content type, uncached, with or without a query', async () => {
    const { send } = await served()
    const answer = await send('/status?verbose')
    expect([answer.status, await answer.json()]).toEqual([200, { name: 'ü' }])
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const metrics = await send('/metrics')
    expect([metrics.headers.get('content-type'), await metrics.text()]).toEqual(['text/plain; version=0.0.4', 'up 1\n'])
  })

  it('answers probes with 200 or 503, and with reasons', async () => {
    const { send } = await served()
    const [ready, healthy] = [await send('/readyz'), await send('/healthz')]
    expect([ready.status, await ready.json()]).toEqual([503, { ok: false, reasons: ['caches not synced'] }])
    expect([healthy.status, await healthy.json()]).toEqual([200, { ok: true, reasons: [] }])
  })

  it('answers HEAD as GET, without the body', async () => {
    const { port } = await served()
    const { status, length, body } = await new Promise<{ status?: number; length?: string; body: string }>(resolve => {
      const outgoing = request({ port, host: '127.0.0.1', path: '/status', method: 'HEAD' }, answer => {
        let body = ''
        answer.setEncoding('utf8').on('data', chunk => (body += chunk))
        answer.once('end', () =>
          resolve({ status: answer.statusCode!, length: answer.headers['content-length']!, body }),
        )
      })
      outgoing.end()
    })
    expect({ status, length, body }).toEqual({
      status: 200,
      length: `${Buffer.byteLength('{"name":"ü"}\n')}`,
      body: '',
    })
  })

  it('lists its routes in the answer to an unknown path', async () => {
    const { send } = await served()
    for (const path of ['/', '/constructor', '/status/x', '/members']) {
      const missing = await send(path)
      const routes = ['/status', '/readyz', '/healthz', '/metrics', '/broken']
      expect([missing.status, await missing.json()]).toEqual([404, { error: `no route ${path}`, routes }])
    }
  })

  it('refuses other methods of a route and names the allowed ones', async () => {
    const { send } = await served()
    const posted = await send('/status', 'POST')
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(await posted.json()).toEqual({ error: 'POST is not allowed; allowed: GET, HEAD' })
    const read = await send('/members/a')
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'DELETE'])
  })

  it('passes the rest of the path, still encoded, to a route that ends with a slash', async () => {
    const { send } = await served()
    expect(await (await send('/members/w-2%2Fa', 'DELETE')).json()).toEqual({ rest: 'w-2%2Fa' })
  })

  it('answers 500 when a route fails, and continues to serve', async () => {
    const { send } = await served()
    const broken = await send('/broken')
    expect([broken.status, await broken.json()]).toEqual([500, { error: 'Error: out of order' }])
    expect((await send('/healthz')).status).toBe(200)
  })

  it('accepts connections from other machines only on * or on an address that is set', async () => {
    const own = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
    const outside = own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
    const reaches = async (host: string, address: string) => {
      const { port, close } = await startHttpServer({ port: 0, host, routes: ROUTES })
      onTestFinished(close)
      return fetch(`http://${address}:${port}/healthz`).then(
        () => true,
        () => false,
      )
    }
    for (const host of [httpHost({}), '*']) expect(await reaches(host, '127.0.0.1')).toBe(true)
    if (outside === undefined) return
    expect(await reaches(httpHost({}), outside)).toBe(false)
    expect(await reaches(httpHost({ HTTP_HOST: '*' }), outside)).toBe(true)
  })

  it('rejects with a UserError when the port is in use, and frees its own port on close', async () => {
    const { port } = await served()
    const second = startHttpServer({ port, host: '127.0.0.1', routes: {} })
    await expect(second).rejects.toBeInstanceOf(UserError)
    await expect(second).rejects.toThrow(/EADDRINUSE.*127\.0\.0\.1/)
    const other = await startHttpServer({ port: 0, host: '127.0.0.1', routes: ROUTES })
    await other.close()
    const reused = await startHttpServer({ port: other.port, host: '127.0.0.1', routes: ROUTES })
    await reused.close()
  })
})
