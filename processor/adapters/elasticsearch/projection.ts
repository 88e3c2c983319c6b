/** The port Projection in Elasticsearch: one index per projection, external versions, bulk requests. */

import type { TransportRequestOptions } from '@elastic/elasticsearch'
import { Client, type ClientOptions, errors } from '@elastic/elasticsearch'
import type { Plan } from '#pipeline/plan.ts'
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, Projection, ProjectionFault, Telemetry } from '#processor/ports.ts'
import { type BulkEntry, type BulkItem, chunksOf, describe, judge, versionFound } from './bulk.ts'
import { elasticsearchError } from './errors.ts'
import { type IndexDefinition, indexDefinitions, TEMPLATE_PRIORITY } from './mapping.ts'

export type ElasticsearchOptions = {
  nodes: string[]
  auth?: { username: string; password: string } | undefined
  /** ca: PEM of the authority to trust; the system store when left out. */
  tls?: { ca: string } | undefined
  plan: Plan
  /** Until the answer has arrived whole; a sink that is silent for longer counts as away. */
  requestTimeoutMs?: number
  log: Telemetry['log']
}

/** Does not connect yet. */
export function createElasticsearchProjection(options: ElasticsearchOptions): Projection {
  return new ElasticsearchProjection(options)
}

class ElasticsearchProjection implements Projection {
  readonly #client: Client
  readonly #definitions: IndexDefinition[]
  readonly #indices: Map<number, string>
  readonly #user: string | undefined
  readonly #timeoutMs: number
  readonly #log: Telemetry['log']
  readonly #underWay = new Set<AbortController>()

  constructor({ nodes, auth, tls, plan, requestTimeoutMs = 10_000, log }: ElasticsearchOptions) {
    const options: ClientOptions = { nodes, maxRetries: 0 } // the projector repeats, and prepares again
    if (auth) options.auth = auth
    if (tls) options.tls = tls
    this.#client = new Client(options)
    this.#definitions = indexDefinitions(plan)
    this.#indices = new Map(this.#definitions.map(({ aggregation, index }) => [aggregation, index]))
    this.#user = auth?.username
    this.#timeoutMs = requestTimeoutMs
    this.#log = log
  }

  async prepare(): Promise<void> {
    for (const definition of this.#definitions) await this.#prepareIndex(definition)
  }

  /** The template comes first, so that the index gets its mapping whoever creates it. */
  async #prepareIndex({ index, template: name, settings, mappings }: IndexDefinition): Promise<void> {
    const { indices } = this.#client
    const template = { name, index_patterns: [index], priority: TEMPLATE_PRIORITY, template: { settings, mappings } }
    await this.#request(`writing index template ${name}`, o => indices.putIndexTemplate(template, o))
    const exists = await this.#request(`looking for index ${index}`, o => indices.exists({ index }, o))
    if (!exists) await this.#request(`creating index ${index}`, o => indices.create({ index }, o).catch(unlessThere))
    await this.#request(`adding fields to index ${index}`, o => indices.putMapping({ index, ...mappings }, o))
  }

  async write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    const faults: ProjectionFault[] = []
    for (const chunk of chunksOf(rows, aggregation => this.#indices.get(aggregation)!))
      faults.push(...(await this.#send(chunk)))
    return faults
  }

  /** A request that is too large for a proxy on the way is halved, down to the row at fault. */
  async #send(chunk: BulkEntry[]): Promise<ProjectionFault[]> {
    const items = await this.#request(`writing ${chunk.length} rows`, o => this.#bulk(chunk, o))
    if (items !== 'too large') return this.#faultsOf(chunk, items)
    if (chunk.length === 1) return [faultOf(chunk[0]!.row, '413 the document is too large')]
    const middle = chunk.length >> 1
    return [...(await this.#send(chunk.slice(0, middle))), ...(await this.#send(chunk.slice(middle)))]
  }

  async #bulk(chunk: BulkEntry[], options: TransportRequestOptions): Promise<BulkItem[] | 'too large'> {
    try {
      const operations = chunk.map(entry => entry.lines)
      const answer = await this.#client.bulk<string>(
        { operations, filter_path: 'items.*.status,items.*.error' },
        options,
      )
      const items = Array.isArray(answer?.items) ? answer.items.map(item => Object.values(item)[0] as BulkItem) : []
      if (items.length === chunk.length && items.every(item => Number.isInteger(item?.status))) return items
      throw new Retryable(`Elasticsearch: answered for ${items.length} of ${chunk.length} rows; is a proxy in between?`)
    } catch (error) {
      if (error instanceof errors.ResponseError && error.statusCode === 413) return 'too large'
      throw error
    }
  }

  #faultsOf(chunk: BulkEntry[], items: BulkItem[]): ProjectionFault[] {
    const judged = items.map((item, i) => ({ item, row: chunk[i]!.row, verdict: judge(item, chunk[i]!.row.version) }))
    const later = judged.find(({ verdict }) => verdict === 'later')
    if (later) throw new Retryable(`Elasticsearch: not all rows were taken: ${describe(later.item)}`)
    const newer = judged.filter(({ verdict }) => verdict === 'newer')
    if (newer.length > 0) this.#reportNewer(newer[0]!.row, newer[0]!.item, newer.length)
    return judged.filter(({ verdict }) => verdict === 'rejected').map(({ row, item }) => faultOf(row, describe(item)))
  }

  #reportNewer({ aggregation, id, version }: ProjectedRow, { error }: BulkItem, rows: number): void {
    this.#log('warn', 'Elasticsearch holds greater versions than those that were to be written', {
      rows,
      index: this.#indices.get(aggregation),
      id,
      version: String(version),
      found: String(versionFound(error)),
    })
  }

  /** One deadline for connecting, waiting and reading: the client's own time-out starts anew with each piece of a body. */
  async #request<T>(doing: string, call: (options: TransportRequestOptions) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), this.#timeoutMs)
    this.#underWay.add(controller)
    try {
      // The project's own span already tells of the projection.
      return await call({ signal: controller.signal, openTelemetry: { enabled: false } })
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

const faultOf = ({ aggregation, id, version }: ProjectedRow, error: string) => ({ aggregation, id, version, error })

/** Another worker may have created the index at the same moment. */
function unlessThere(error: unknown): void {
  const type = error instanceof errors.ResponseError ? error.body?.error?.type : undefined
  if (type !== 'resource_already_exists_exception') throw error
}
