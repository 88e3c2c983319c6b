/** A small HTTP server for metrics and probes, made from a table of routes. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UserError } from '#pipeline/user-error.ts'
import { serverText } from './redact.ts'

export type Answer = { status: number; type: string; body: string }
/** `rest`: the request's path after that of a route that ends with a slash, still percent-encoded; otherwise empty. */
export type Handler = (rest: string, headers: IncomingHttpHeaders) => Answer | Promise<Answer>
/** 'GET /status' → its handler. A path that ends with a slash matches all paths below it. HEAD is handled as GET. */
export type Routes = Record<`${'GET' | 'DELETE'} /${string}`, Handler>
export type HttpServer = { port: number /** Resolves once the port is free again. */; close(): Promise<void> }

type Route = { method: string; path: string; handler: Handler }

/** Only programs of the same machine can connect. */
const LOOPBACK = '127.0.0.1'
/** Value of HTTP_HOST for all addresses, IPv4 and IPv6: in a pod, the probes and Prometheus come from outside. */
export const ALL_ADDRESSES = '*'

export function httpHost(env: NodeJS.ProcessEnv): string {
  return env.HTTP_HOST || LOOPBACK
}

/**
 * Listens on `port` (0: any free port) of `host` (see HTTP_HOST). Rejects with a UserError when it cannot
 * listen, for example because the port is in use.
 */
export async function startHttpServer(options: {
  port: number
  host: string
  routes: Routes
  /** What the port serves, and the variable that sets it, for the error. */
  serves?: string
  variable?: string
}): Promise<HttpServer> {
  const routes = Object.entries(options.routes).map(([name, handler]) => {
    const [method, path] = name.split(' ') as [string, string]
    return { method, path, handler }
  })
  const server = createServer(async (request, response) => {
    const { status, type, body, ...extra } = await answer(routes, request)
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' }
    response.writeHead(status, { ...headers, ...extra.headers }).end(body)
  })
  server.listen(options.port, options.host === ALL_ADDRESSES ? undefined : options.host)
  await once(server, 'listening').catch((error: Error) => {
    const { serves = 'metrics and probes', variable = 'HTTP_PORT' } = options
    const remedy = `Set ${variable} to a free port, and HTTP_HOST to an address of this machine`
    throw new UserError(`cannot serve ${serves}: ${error.message}. ${remedy}`, { cause: error })
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function answer(routes: Route[], request: IncomingMessage): Promise<Answer & { headers?: { allow: string } }> {
  const path = request.url?.split('?')[0] ?? '/'
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const matching = routes.filter(route =>
    route.path.endsWith('/') ? path.startsWith(route.path) : path === route.path,
  )
  if (matching.length === 0) return json(404, { error: `no route ${path}`, routes: pagesOf(routes) })
  const route = matching.find(candidate => candidate.method === method)
  if (!route) {
    const allow = matching.map(allowed => (allowed.method === 'GET' ? 'GET, HEAD' : allowed.method)).join(', ')
    return { ...json(405, { error: `${request.method} is not allowed; allowed: ${allow}` }), headers: { allow } }
  }
  try {
    return await route.handler(path.slice(route.path.length), request.headers)
  } catch (error) {
    return json(500, { error: serverText(String(error)) })
  }
}

/** Returns the paths to suggest in a 404 response. */
function pagesOf(routes: Route[]): string[] {
  return routes.filter(({ method, path }) => method === 'GET' && !path.endsWith('/')).map(({ path }) => path)
}

export function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}

/** Returns a response to a Kubernetes probe: 200 or 503, with the reasons for people who read it. */
export function probe(ok: boolean, reasons: string[]): Answer {
  return json(ok ? 200 : 503, { ok, reasons })
}

/** Returns the metrics in Prometheus' text format. `registry`: a registry of prom-client. */
export async function metricsPage(registry: { contentType: string; metrics(): Promise<string> }): Promise<Answer> {
  return { status: 200, type: registry.contentType, body: await registry.metrics() }
}
