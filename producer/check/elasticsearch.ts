/** Reads the documents of docs/tables.md by id, which needs no refresh of the index. */
import { createHash } from 'node:crypto'
import { Client, errors } from '@elastic/elasticsearch'
import { elasticsearchConnection } from '#common/store-connections.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { StoredRow } from './postgres.ts'
import { type Attempt, causeOf } from './waiting.ts'

export type Document = Record<string, unknown>

const ANSWER_MS = 5000

export class Documents {
  readonly #client: Client
  readonly #nodes: string

  /** Does not connect yet. Uses a worker's settings. Throws a UserError that names the variable of a Secret missing in `env`. */
  constructor(pipeline: SalesPipeline, env: NodeJS.ProcessEnv) {
    const connection = elasticsearchConnection(pipeline.spec, env)
    this.#client = new Client({ ...connection, maxRetries: 0, requestTimeout: ANSWER_MS })
    this.#nodes = pipeline.spec.sinks.elasticsearch!.nodes.join(', ')
  }

  /** Finds null if Elasticsearch responds but has no such document. */
  async find(index: string, id: string): Promise<Attempt<Document | null>> {
    try {
      const { found, _source } = await this.#client.get<Document>({ index, id }, { ignore: [404] })
      return { found: found && _source ? _source : null }
    } catch (error) {
      // Only the message is shown: the client's error also contains the request with its credentials.
      const problem = error instanceof errors.ResponseError ? `returned HTTP ${error.statusCode}` : 'does not respond'
      return { pending: `Elasticsearch at ${this.#nodes} ${problem} (${causeOf(error)})` }
    }
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

/** `owner`: namespace/name of the pipeline and the id of its schema. */
export function documentId(owner: string, aggregation: string, groupBy: string[], row: StoredRow): string {
  const { window_start: start } = row
  const key = [aggregation, start instanceof Date ? start.toISOString() : '-infinity', ...groupBy.map(by => row[by])]
  return `${sha256(owner).slice(0, 32)}-${sha256(JSON.stringify(key))}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
