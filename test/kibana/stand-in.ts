/**
 * An HTTP server that accepts imports as Kibana's documentation describes (POST /api/saved_objects/_import, GET
 * /api/status). Kibana itself is not available to tests.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export const USER = 'elastic'
export const PASSWORD = 'pass:word-Ü-7f3c'

type Imported = { type: string; id: string; attributes: { title: string }; references: { type: string; id: string }[] }
type StatusAndBody = { status: number; body: unknown }
export type Script = {
  /** Responses to the first requests of GET /api/status; then Kibana is available. */
  statusResponses?: StatusAndBody[]
  /** Responses to the first imports, which import nothing. */
  importResponses?: StatusAndBody[]
  tls?: { key: string; cert: string }
}

export type StandIn = {
  url: string
  /** Each request: method, path and status. */
  requests: string[]
  imported: Map<string, Imported>
  stop(): Promise<void>
}

export async function startStandIn({ statusResponses = [], importResponses = [], tls }: Script = {}): Promise<StandIn> {
  const requests: string[] = []
  const imported = new Map<string, Imported>()
  const [statuses, imports] = [[...statusResponses], [...importResponses]]

  async function respondTo(request: IncomingMessage): Promise<StatusAndBody> {
    const { pathname, searchParams } = new URL(request.url!, 'http://kibana')
    if (pathname === '/api/status' && statuses.length > 0) return statuses.shift()!
    if (!isAuthorized(request)) return refusal(401, 'Unauthorized', 'unable to authenticate user')
    if (pathname === '/api/status') return { status: 200, body: { status: { overall: { level: 'available' } } } }
    if (request.method !== 'POST' || pathname !== '/api/saved_objects/_import')
      return refusal(404, 'Not Found', 'Not Found')
    if (!request.headers['kbn-xsrf']) return refusal(400, 'Bad Request', 'Request must contain a kbn-xsrf header.')
    const file = await fileOf(request)
    if (!file?.name.endsWith('.ndjson')) return refusal(400, 'Bad Request', 'Invalid file extension')
    if (imports.length > 0) return imports.shift()!
    const objects = (await file.text())
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Imported)
    return { status: 200, body: importAll(objects, imported, searchParams.get('overwrite') === 'true') }
  }

  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const { status, body } = await respondTo(request)
    requests.push(`${request.method} ${request.url} ${status}`)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = () => new Promise<void>(resolve => server.close(() => resolve()))
  return { url: `${tls ? 'https' : 'http'}://localhost:${port}`, requests, imported, stop }
}

function isAuthorized({ headers }: IncomingMessage): boolean {
  const [scheme, credentials = ''] = (headers.authorization ?? '').split(' ')
  return scheme === 'Basic' && Buffer.from(credentials, 'base64').toString() === `${USER}:${PASSWORD}`
}

async function fileOf(request: IncomingMessage): Promise<File | null> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const headers = { 'content-type': request.headers['content-type'] ?? '' }
  const form = await new Response(Buffer.concat(chunks), { headers }).formData()
  return form.get('file') as File | null
}

/** Imports all objects or none: Kibana creates no object when one has an error. */
function importAll(objects: Imported[], imported: Map<string, Imported>, overwrite: boolean) {
  const nameOf = ({ type, id }: { type: string; id: string }) => `${type} ${id}`
  const known = new Set([...imported.keys(), ...objects.map(nameOf)])
  const errors = objects.flatMap(object => {
    const { type, id, attributes } = object
    const head = { type, id, title: attributes.title, meta: { title: attributes.title } }
    const references = object.references.filter(reference => !known.has(nameOf(reference)))
    if (references.length > 0) return [{ ...head, error: { type: 'missing_references', references } }]
    return imported.has(nameOf(object)) && !overwrite ? [{ ...head, error: { type: 'conflict' } }] : []
  })
  if (errors.length > 0) return { successCount: 0, success: false, warnings: [], errors }
  for (const object of objects) imported.set(nameOf(object), object)
  return { successCount: objects.length, success: true, warnings: [] }
}

export function refusal(status: number, error: string, message: string): StatusAndBody {
  return { status, body: { statusCode: status, error, message } }
}
