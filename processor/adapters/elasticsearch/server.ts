/** Requests to the Elasticsearch that a pipeline names, under a deadline each. */
import { Client, type TransportRequestOptions } from '@elastic/elasticsearch'
import type { ElasticsearchConnection } from '#common/store-connections.ts'
import { Retryable } from '#processor/errors.ts'
import { elasticsearchError } from './errors.ts'

export type ElasticsearchServerOptions = ElasticsearchConnection & {
  /** Until the answer has arrived whole; a sink that is silent for longer counts as away. */
  requestTimeoutMs?: number
}

/** Does not connect before the first request. */
export class ElasticsearchServer {
  readonly #client: Client
  readonly #user: string | undefined
  readonly #timeoutMs: number
  readonly #underWay = new Set<AbortController>()

  constructor({ requestTimeoutMs = 10_000, ...connection }: ElasticsearchServerOptions) {
    // No retries: the caller repeats, and looks again first.
    const { nodes, auth, tls } = connection
    this.#client = new Client({ nodes, ...(auth && { auth }), ...(tls && { tls }), maxRetries: 0 })
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
