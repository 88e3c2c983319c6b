/** Sends requests to a pipeline's Elasticsearch, each with a deadline. */
import { Client, type TransportRequestOptions } from '@elastic/elasticsearch'
import type { ElasticsearchConnection } from '#common/store-connections.ts'
import { Retryable } from '#processor/errors.ts'
import { elasticsearchError } from './errors.ts'

export type ElasticsearchServerOptions = ElasticsearchConnection & {
  /** Time until the whole response has arrived, ms; after that the sink counts as unreachable. */
  requestTimeoutMs?: number
}

/** Does not connect before the first request. */
export class ElasticsearchServer {
  readonly #client: Client
  readonly #user: string | undefined
  readonly #timeoutMs: number
  readonly #inFlight = new Set<AbortController>()

  constructor({ requestTimeoutMs = 10_000, ...connection }: ElasticsearchServerOptions) {
    // The client does not retry, because the caller does, after checking the state again.
    const { nodes, auth, tls } = connection
    this.#client = new Client({ nodes, ...(auth && { auth }), ...(tls && { tls }), maxRetries: 0 })
    this.#user = auth?.username
    this.#timeoutMs = requestTimeoutMs
  }

  /**
   * Applies one deadline to connecting, waiting and reading; the client's time-out restarts with each chunk of a body.
   * Throws Retryable for every error. `doing` completes the message "Elasticsearch error while …".
   */
  async request<T>(doing: string, call: (client: Client, options: TransportRequestOptions) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), this.#timeoutMs)
    this.#inFlight.add(controller)
    try {
      // The projection has our own span already.
      return await call(this.#client, { signal: controller.signal, openTelemetry: { enabled: false } })
    } catch (error) {
      if (controller.signal.aborted)
        throw new Retryable(`Elasticsearch error while ${doing}: no answer within ${this.#timeoutMs} ms; retrying`)
      throw elasticsearchError(error, doing, this.#user)
    } finally {
      clearTimeout(timer)
      this.#inFlight.delete(controller)
    }
  }

  /** Aborts requests in flight. */
  async close(): Promise<void> {
    for (const controller of this.#inFlight) controller.abort()
    await this.#client.close()
  }
}
