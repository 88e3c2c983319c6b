/** An HTTP server in place of Elasticsearch that answers by a script and records the requests. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `hang` never answers; `stall` sends only the start of an answer. */
export type Answer = { status: number; body: unknown } | 'hang' | 'stall'
export type Received = { method: string; path: string; body: string; authorization: string | undefined }
export type Script = (request: Received) => Answer

export const ok: Answer = { status: 200, body: { acknowledged: true } }

/** Answers a bulk request like Elasticsearch. `item` returns the result of each operation; default: success. */
export function bulkAnswer(request: Received, item: (id: string) => object = () => ({ status: 201 })): Answer {
  const actions = request.body.split('\n').filter(line => /^\{"(index|delete)":/.test(line))
  return { status: 200, body: { items: actions.map(line => ({ index: item(JSON.parse(line).index?._id) })) } }
}

/** Accepts every request, and has no index or template yet. */
export const healthy: Script = request => {
  if (request.path.startsWith('/_bulk')) return bulkAnswer(request)
  return request.method === 'GET' ? { status: 200, body: {} } : ok
}

export class ScriptedSink {
  script: Script = healthy
  readonly requests: Received[] = []
  #server: Server | null = null
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get bulks(): Received[] {
    return this.requests.filter(({ path }) => path.startsWith('/_bulk'))
  }

  /** Always listens on the same port, so that a client finds it again after a restart. */
  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#answer(request, response))
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = null
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const received = { method, path: url, body: await textOf(request), authorization: headers.authorization }
    this.requests.push(received)
    const answer = this.script(received)
    if (answer === 'hang') return
    response.writeHead(answer === 'stall' ? 200 : answer.status, {
      'content-type': 'application/json',
      'x-elastic-product': 'Elasticsearch',
    })
    if (answer === 'stall') response.write('{"items":')
    else response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
