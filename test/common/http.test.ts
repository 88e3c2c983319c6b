import { request } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { json, metricsPage, probe, type Routes, startHttpServer } from '#common/http.ts'
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
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method })
  return { port: server.port, ask }
}

describe('the HTTP server', () => {
  it('answers a route with its type, uncached, whatever the query', async () => {
    const { ask } = await served()
    const answer = await ask('/status?verbose')
    expect([answer.status, await answer.json()]).toEqual([200, { name: 'ü' }])
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const metrics = await ask('/metrics')
    expect([metrics.headers.get('content-type'), await metrics.text()]).toEqual(['text/plain; version=0.0.4', 'up 1\n'])
  })

  it('answers probes with 200 or 503, and with reasons', async () => {
    const { ask } = await served()
    const [ready, healthy] = [await ask('/readyz'), await ask('/healthz')]
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

  it('lists its pages on an unknown path', async () => {
    const { ask } = await served()
    for (const path of ['/', '/constructor', '/status/x', '/members']) {
      const missing = await ask(path)
      const routes = ['/status', '/readyz', '/healthz', '/metrics', '/broken']
      expect([missing.status, await missing.json()]).toEqual([404, { error: `no route ${path}`, routes }])
    }
  })

  it('refuses other methods and names those that are allowed', async () => {
    const { ask } = await served()
    const posted = await ask('/status', 'POST')
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(await posted.json()).toEqual({ error: 'POST is not allowed; allowed: GET, HEAD' })
    const read = await ask('/members/a')
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'DELETE'])
  })

  it('hands what follows a path with a slash at its end to the route, still encoded', async () => {
    const { ask } = await served()
    expect(await (await ask('/members/w-2%2Fa', 'DELETE')).json()).toEqual({ rest: 'w-2%2Fa' })
  })

  it('answers 500 when a route fails, and goes on serving', async () => {
    const { ask } = await served()
    const broken = await ask('/broken')
    expect([broken.status, await broken.json()]).toEqual([500, { error: 'Error: out of order' }])
    expect((await ask('/healthz')).status).toBe(200)
  })

  it('reports a port that is taken as an error of the user, and frees its own on close', async () => {
    const { port } = await served()
    const again = startHttpServer({ port, host: '127.0.0.1', routes: {} })
    await expect(again).rejects.toBeInstanceOf(UserError)
    await expect(again).rejects.toThrow(/EADDRINUSE.*127\.0\.0\.1/)
    const other = await startHttpServer({ port: 0, host: '127.0.0.1', routes: ROUTES })
    await other.close()
    const reused = await startHttpServer({ port: other.port, host: '127.0.0.1', routes: ROUTES })
    await reused.close()
  })
})
