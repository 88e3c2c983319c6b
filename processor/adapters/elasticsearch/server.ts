/** Requests to the Elasticsearch that a pipeline names, under a deadline each. */
import { Client, type ClientOptions, type TransportRequestOptions } from '@elastic/elasticsearch'
import { Retryable } from '#processor/errors.ts'
import { elasticsearchError } from './errors.ts'

export type ElasticsearchConnection = {
  nodes: string[]
  auth?: { username: string; password: string } | undefined
  /** ca: PEM of the authority to trust; the system store when left out. */
  tls?: { ca: string } | undefined
  /** Until the answer has arrived whole; a sink that is silent for longer counts as away. */
  requestTimeoutMs?: number
}

/** Does not connect before the first request. */
export class ElasticsearchServer {
  readonly #client: Client
  readonly #user: string | undefined
  readonly #timeoutMs: number
  readonly #underWay = new Set<AbortController>()

  constructor({ nodes, auth, tls, requestTimeoutMs = 10_000 }: ElasticsearchConnection) {
    const options: ClientOptions = { nodes, maxRetries: 0 } // whoever asks repeats, and looks again first
    if (auth) options.auth = auth
    if (tls) options.tls = tls
    this.#client = new Client(options)
    this.#user = auth?.username
    this.#timeoutMs = requestTimeoutMs
  }

  /**
   * One deadline for connecting, waiting and reading: the client's own time-out starts anew with each piece of a body.
   * Throws Retryable, whatever is wrong; `doing` says in its message what was under way.
   */
  async request<T>(doing: string, call: (client: Client, options: TransportRequestOptions) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), this.#timeoutMs)
    this.#underWay.add(controller)
    try {
      // The project's own span already tells of the projection.
      return await call(this.#client, { signal: controller.signal, openTelemetry: { enabled: false } })
    } catch (error) {
      if (controller.signal.aborted)
        throw new Retryable(`Elasticsearch: ${doing}: no answer within ${this.#timeoutMs} ms`)
      throw elasticsearchError(error, doing, this.#user)
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(controller)
    }
  }

  /** Requests that are still under way are given up. */
  async close(): Promise<void> {
    for (const controller of this.#underWay) controller.abort()
    await this.#client.close()
  }
}
