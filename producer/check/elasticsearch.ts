/** Reads documents as docs/tables.md describes them, by id: what was written is there at once, without a refresh. */
import { createHash } from 'node:crypto'
import { Client, errors } from '@elastic/elasticsearch'
import { elasticsearchConnection } from '#common/store-connections.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { StoredRow } from './postgres.ts'
import { type Answer, causeOf } from './waiting.ts'

export type Document = Record<string, unknown>

const ANSWER_MS = 5000

export class Documents {
  readonly #client: Client
  readonly #nodes: string

  /** Connects as a worker does. Throws a UserError that names the variable when a Secret of the spec is not in `env`. Does not connect yet. */
  constructor(pipeline: SalesPipeline, env: NodeJS.ProcessEnv) {
    const connection = elasticsearchConnection(pipeline.spec, env)
    this.#client = new Client({ ...connection, maxRetries: 0, requestTimeout: ANSWER_MS })
    this.#nodes = pipeline.spec.sinks.elasticsearch!.nodes.join(', ')
  }

  /** Null: Elasticsearch answers, and has no such document. */
  async find(index: string, id: string): Promise<Answer<Document | null>> {
    try {
      const { found, _source } = await this.#client.get<Document>({ index, id }, { ignore: [404] })
      return { found: found && _source ? _source : null }
    } catch (error) {
      // The client's error also carries the request, headers included: only its words are told.
      const told = error instanceof errors.ResponseError ? `answers ${error.statusCode}` : 'does not answer'
      return { waitsFor: `Elasticsearch at ${this.#nodes} ${told} (${causeOf(error)})` }
    }
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

export function documentId(aggregation: string, groupBy: string[], row: StoredRow): string {
  const { window_start: start } = row
  const key = [aggregation, start instanceof Date ? start.toISOString() : '-infinity', ...groupBy.map(by => row[by])]
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}
