/** An HTTP server in the place of Elasticsearch that answers as the test says, and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `hang` never answers; `stall` sends the head of an answer and no more. */
export type Answer = { status: number; body: unknown } | 'hang' | 'stall'
export type Asked = { method: string; path: string; body: string; authorization: string | undefined }
export type Script = (asked: Asked) => Answer

export const ok: Answer = { status: 200, body: { acknowledged: true } }

/** As Elasticsearch answers a bulk request: each operation by `item`, "done" when left out. */
export function bulkAnswer(asked: Asked, item: (id: string) => object = () => ({ status: 201 })): Answer {
  const actions = asked.body.split('\n').filter(line => /^\{"(index|delete)":/.test(line))
  return { status: 200, body: { items: actions.map(line => ({ index: item(JSON.parse(line).index?._id) })) } }
}

/** All is well: every request is carried out. */
export const healthy: Script = asked => (asked.path.startsWith('/_bulk') ? bulkAnswer(asked) : ok)

export class ScriptedSink {
  script: Script = healthy
  readonly asked: Asked[] = []
  #server: Server | null = null
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get bulks(): Asked[] {
    return this.asked.filter(({ path }) => path.startsWith('/_bulk'))
  }

  /** Always on the same port, so that a client finds it again. */
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
    const asked = { method, path: url, body: await textOf(request), authorization: headers.authorization }
    this.asked.push(asked)
    const answer = this.script(asked)
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
