/** A proxy between the operator and a real API server that simulates the faults of networks and servers. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ApiServerAddress } from './api-server.ts'

type Request = { method: string; path: string; query: URLSearchParams }
/** Returns the response to a request, or 'hang' to never respond, or undefined to forward the request. */
type Mishap = (request: Request) => { status: number; body: unknown } | 'hang' | undefined

export type ApiProxy = ApiServerAddress & {
  /** All requests so far. */
  requests: Request[]
  /** Applies to all requests from now on; null: none. */
  mishap: Mishap | null
  /** Stops all open responses without closing them. Returns their number. */
  freeze(): number
  /** Sends an event to every open watch of the collection. Returns their number. */
  tellWatches(plural: string, event: unknown): number
  close(): Promise<void>
}

export async function startApiProxy(address: ApiServerAddress): Promise<ApiProxy> {
  const agent = new Agent({ keepAlive: true, ca: readFileSync(address.caFile) })
  const open = new Map<ServerResponse, { upstream: IncomingMessage; request: Request }>()
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url!, address.url)
    const parsed = { method: incoming.method!, path: url.pathname, query: url.searchParams }
    proxy.requests.push(parsed)
    const mishap = proxy.mishap?.(parsed)
    if (mishap === 'hang') return
    if (mishap) {
      incoming.resume()
      response.writeHead(mishap.status, { 'content-type': 'application/json' }).end(JSON.stringify(mishap.body))
      return
    }
    const { host: _host, connection: _connection, ...headers } = incoming.headers
    const outgoing = request(url, { method: parsed.method, headers, agent }, upstream => {
      response.writeHead(upstream.statusCode!, upstream.headers)
      response.flushHeaders()
      open.set(response, { upstream, request: parsed })
      upstream.pipe(response)
      upstream.once('error', () => response.destroy())
    })
    response.once('close', () => {
      open.delete(response)
      outgoing.destroy()
    })
    outgoing.once('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const proxy: ApiProxy = {
    ...address,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    mishap: null,
    freeze() {
      for (const [response, { upstream }] of open) upstream.unpipe(response)
      return open.size
    },
    tellWatches(plural, event) {
      const watches = [...open].filter(
        ([, { request }]) => request.path.endsWith(`/${plural}`) && request.query.has('watch'),
      )
      for (const [response] of watches) response.write(`${JSON.stringify(event)}\n`)
      return watches.length
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      agent.destroy()
    },
  }
  return proxy
}
