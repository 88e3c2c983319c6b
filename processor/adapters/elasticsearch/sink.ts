/** The Sink port on Elasticsearch: one index per projection, external versions, bulk requests. */
import { type Client, errors, type estypes, type TransportRequestOptions } from '@elastic/elasticsearch'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { Ownership, ProjectedRow, ProjectionFault, Sink, Telemetry } from '#processor/ports.ts'
import { type BulkEntry, type BulkItem, chunksOf, describe, judge, versionFound } from './bulk.ts'
import { causes } from './errors.ts'
import { type IndexDefinition, indexDefinitions, TEMPLATE_PRIORITY } from './mapping.ts'
import { type Claimed, findIndices, findTemplates, type Judged, judge as judgeOwner, markOf } from './ownership.ts'
import { ElasticsearchServer, type ElasticsearchServerOptions } from './server.ts'

export type ElasticsearchOptions = ElasticsearchServerOptions & {
  compiled: CompiledSpec
  log: Telemetry['log']
}

/** Id that no row has: those begin with the owner. */
const NO_DOCUMENT = 'salespipeline-no-document'

/** Does not connect yet. */
export function createElasticsearchSink(options: ElasticsearchOptions): Sink {
  return new ElasticsearchSink(options)
}

class ElasticsearchSink implements Sink {
  readonly name = 'elasticsearch'
  readonly #server: ElasticsearchServer
  readonly #definitions: IndexDefinition[]
  readonly #indices: Map<number, string>
  readonly #names: string[]
  readonly #log: Telemetry['log']

  constructor({ compiled, log, ...connection }: ElasticsearchOptions) {
    this.#server = new ElasticsearchServer(connection)
    this.#definitions = indexDefinitions(compiled)
    this.#indices = new Map(this.#definitions.map(({ aggregation, index }) => [aggregation, index]))
    this.#names = compiled.aggregations.map(({ name }) => name)
    this.#log = log
  }

  async prepare(ownership: Ownership): Promise<void> {
    for (const definition of this.#definitions) await this.#prepareIndex(definition, ownership)
  }

  async #prepareIndex(definition: IndexDefinition, ownership: Ownership): Promise<void> {
    const { index, mappings, adopt } = definition
    const aggregation = this.#names[definition.aggregation]!
    const claimed = { ownership, adopt, isInherited: ownership.inherited.includes(index), aggregation }
    const judged = await this.#judgeIndex(index, claimed)
    if (judged !== 'adopted') await this.#createMissing(definition, judged, claimed)
    // Neither leaves a mark, nor changes how an adopted index treats fields that others write.
    const missing = judged === 'adopted' ? { properties: mappings.properties } : mappings
    await this.#server.request(`adding fields to index ${index}`, (c, o) =>
      c.indices.putMapping({ index, ...missing }, o),
    )
    await this.#tryWrite(index)
  }

  /**
   * Sends a write that changes nothing: it demands a state of a document that does not exist. Elasticsearch answers 409, but
   * only after it has checked the privileges and the blocks of the index, such as that of a full disk. A 400 is about the
   * document, which is empty.
   */
  async #tryWrite(index: string): Promise<void> {
    const nothing = { document: {}, if_seq_no: 0, if_primary_term: 1, pipeline: '_none' }
    await this.#server.request(`trying to write to index ${index}`, (c, o) =>
      c.index({ index, id: NO_DOCUMENT, ...nothing }, { ...o, ignore: [400, 409] }),
    )
  }

  /** Writes the template first, so that the index gets its mapping and our mark even if somebody else creates it. */
  async #createMissing(definition: IndexDefinition, judged: Judged, claimed: Claimed): Promise<void> {
    const { index, settings, mappings } = definition
    await this.#putTemplate(definition, claimed)
    if (judged !== 'absent') return
    const create = { index, settings, mappings: { ...mappings, _meta: markOf(claimed.ownership) } }
    await this.#server.request(`creating index ${index}`, (c, o) => c.indices.create(create, o).catch(ignoreExisting))
    // Another pipeline may have created it at the same moment.
    await this.#judgeIndex(index, claimed)
  }

  /** Leaves a template without a mark as it is. */
  async #putTemplate({ index, template: name, settings, mappings }: IndexDefinition, claimed: Claimed): Promise<void> {
    const judged = await this.#judgeTemplate(name, claimed)
    if (judged === 'adopted') return
    const _meta = markOf(claimed.ownership)
    const template = {
      name,
      create: judged === 'absent', // fails if another pipeline has created it since
      index_patterns: [index],
      priority: TEMPLATE_PRIORITY,
      _meta,
      template: { settings, mappings: { ...mappings, _meta } },
    }
    await this.#server.request(`writing index template ${name}`, (c, o) =>
      c.indices.putIndexTemplate(template, o).catch(ignoreExisting),
    )
    if (judged === 'absent') await this.#judgeTemplate(name, claimed)
  }

  async #judgeIndex(index: string, claimed: Claimed): Promise<Judged> {
    const found = await this.#server.request(`looking for index ${index}`, (c, o) => findIndices(c, index, o))
    return judgeOwner('index', found, claimed)
  }

  async #judgeTemplate(name: string, claimed: Claimed): Promise<Judged> {
    const found = await this.#server.request(`reading index template ${name}`, (c, o) => findTemplates(c, name, o))
    return judgeOwner('index template', found, claimed)
  }

  async write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    const faults: ProjectionFault[] = []
    for (const chunk of chunksOf(rows, aggregation => this.#indices.get(aggregation)!))
      faults.push(...(await this.#send(chunk)))
    return faults
  }

  /** Reads by id, which needs no refresh. An index that does not exist has none of the documents. */
  async missing(rows: ProjectedRow[]): Promise<ProjectedRow[]> {
    if (rows.length === 0) return []
    const docs = rows.map(({ aggregation, id }) => ({ _index: this.#indices.get(aggregation)!, _id: id }))
    const answer = await this.#server.request('looking for documents', (c, o) => c.mget({ docs, _source: false }, o))
    return rows.filter((_, i) => isMissing(answer.docs[i]!))
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

/** Throws Retryable for an answer that shows neither that the document exists nor that it does not. */
function isMissing(found: estypes.MgetResponseItem<unknown>): boolean {
  if ('found' in found) return !found.found
  if (found.error.type === 'index_not_found_exception') return true
  throw new Retryable(`Elasticsearch error while looking for documents: ${causes(found.error)}; retrying`)
}

const faultOf = ({ aggregation, id, version }: ProjectedRow, error: string) => ({ aggregation, id, version, error })

/** Another worker may have created the index or template at the same moment. */
function ignoreExisting(error: unknown): void {
  const { type, reason } = (error instanceof errors.ResponseError && error.body?.error) || {}
  if (type === 'resource_already_exists_exception') return
  if (type === 'illegal_argument_exception' && /^index template \[.*\] already exists$/.test(reason)) return
  throw error
}
