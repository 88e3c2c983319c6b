/** The Sink port on Elasticsearch: one index per projection, external versions, bulk requests. */
import { type Client, errors, type TransportRequestOptions } from '@elastic/elasticsearch'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, ProjectionFault, Sink, Telemetry } from '#processor/ports.ts'
import { type BulkEntry, type BulkItem, chunksOf, describe, judge, versionFound } from './bulk.ts'
import { type IndexDefinition, indexDefinitions, markOf, TEMPLATE_PRIORITY } from './mapping.ts'
import { ElasticsearchServer, type ElasticsearchServerOptions } from './server.ts'

export type ElasticsearchOptions = ElasticsearchServerOptions & {
  compiled: CompiledSpec
  /** namespace/name of the pipeline, which marks its indices and templates. */
  owner: string
  log: Telemetry['log']
}

/** Does not connect yet. */
export function createElasticsearchSink(options: ElasticsearchOptions): Sink {
  return new ElasticsearchSink(options)
}

class ElasticsearchSink implements Sink {
  readonly #server: ElasticsearchServer
  readonly #definitions: IndexDefinition[]
  readonly #indices: Map<number, string>
  readonly #mark: ReturnType<typeof markOf>
  readonly #log: Telemetry['log']

  constructor({ compiled, owner, log, ...connection }: ElasticsearchOptions) {
    this.#server = new ElasticsearchServer(connection)
    this.#definitions = indexDefinitions(compiled)
    this.#indices = new Map(this.#definitions.map(({ aggregation, index }) => [aggregation, index]))
    this.#mark = markOf(owner)
    this.#log = log
  }

  async prepare(): Promise<void> {
    for (const definition of this.#definitions) await this.#prepareIndex(definition)
  }

  /** Writes the template first, so that the index gets its mapping and our mark even if somebody else creates it. */
  async #prepareIndex({ index, template: name, settings, mappings }: IndexDefinition): Promise<void> {
    const server = this.#server
    const _meta = this.#mark
    const template = {
      name,
      index_patterns: [index],
      priority: TEMPLATE_PRIORITY,
      _meta,
      template: { settings, mappings: { ...mappings, _meta } },
    }
    await server.request(`writing index template ${name}`, (c, o) => c.indices.putIndexTemplate(template, o))
    const exists = await server.request(`looking for index ${index}`, (c, o) => c.indices.exists({ index }, o))
    // The mark is also set here, because somebody else's template may have a higher priority than ours.
    const create = { index, mappings: { _meta } }
    if (!exists)
      await server.request(`creating index ${index}`, (c, o) => c.indices.create(create, o).catch(ignoreExisting))
    // This leaves the mark as it is, because the index may be somebody else's.
    await server.request(`adding fields to index ${index}`, (c, o) => c.indices.putMapping({ index, ...mappings }, o))
  }

  async write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    const faults: ProjectionFault[] = []
    for (const chunk of chunksOf(rows, aggregation => this.#indices.get(aggregation)!))
      faults.push(...(await this.#send(chunk)))
    return faults
  }

  /** Halves a request that is too large for a proxy, down to the single row that is too large. */
  async #send(chunk: BulkEntry[]): Promise<ProjectionFault[]> {
    const items = await this.#server.request(`writing ${chunk.length} rows`, (c, o) => bulk(c, chunk, o))
    if (items !== 'too large') return this.#faultsOf(chunk, items)
    if (chunk.length === 1)
      return [
        faultOf(
          chunk[0]!.row,
          `HTTP 413: the request with only this document (${Buffer.byteLength(chunk[0]!.lines)} bytes) is too large for Elasticsearch or for a proxy before it; raise http.max_content_length in Elasticsearch, or the proxy's body limit`,
        ),
      ]
    const middle = chunk.length >> 1
    return [...(await this.#send(chunk.slice(0, middle))), ...(await this.#send(chunk.slice(middle)))]
  }

  #faultsOf(chunk: BulkEntry[], items: BulkItem[]): ProjectionFault[] {
    const judged = items.map((item, i) => ({ item, row: chunk[i]!.row, verdict: judge(item, chunk[i]!.row.version) }))
    const later = judged.find(({ verdict }) => verdict === 'later')
    if (later) throw new Retryable(`Elasticsearch did not accept some rows: ${describe(later.item)}; retrying`)
    const newer = judged.filter(({ verdict }) => verdict === 'newer')
    if (newer.length > 0) this.#reportNewer(newer[0]!.row, newer[0]!.item, newer.length)
    return judged.filter(({ verdict }) => verdict === 'rejected').map(({ row, item }) => faultOf(row, describe(item)))
  }

  #reportNewer({ aggregation, id, version }: ProjectedRow, { error }: BulkItem, rows: number): void {
    this.#log(
      'warn',
      'skipped rows: the index already has newer versions of them. If this repeats, check whether another pipeline writes to this index',
      {
        rows,
        index: this.#indices.get(aggregation),
        id,
        version: String(version),
        found: String(versionFound(error)),
      },
    )
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}

async function bulk(
  client: Client,
  chunk: BulkEntry[],
  options: TransportRequestOptions,
): Promise<BulkItem[] | 'too large'> {
  try {
    const operations = chunk.map(entry => entry.lines)
    const answer = await client.bulk<string>({ operations, filter_path: 'items.*.status,items.*.error' }, options)
    const items = Array.isArray(answer?.items) ? answer.items.map(item => Object.values(item)[0] as BulkItem) : []
    if (items.length === chunk.length && items.every(item => Number.isInteger(item?.status))) return items
    throw new Retryable(
      `Elasticsearch answered for ${items.length} of ${chunk.length} rows; check for a proxy that changes its responses`,
    )
  } catch (error) {
    if (error instanceof errors.ResponseError && error.statusCode === 413) return 'too large'
    throw error
  }
}

const faultOf = ({ aggregation, id, version }: ProjectedRow, error: string) => ({ aggregation, id, version, error })

/** Another worker may have created the index at the same moment. */
function ignoreExisting(error: unknown): void {
  const type = error instanceof errors.ResponseError ? error.body?.error?.type : undefined
  if (type !== 'resource_already_exists_exception') throw error
}
