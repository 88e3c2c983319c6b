/** Removes the indices and index templates that carry the mark of the pipeline's projection. */
import type { Client, estypes, TransportRequestOptions } from '@elastic/elasticsearch'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { Belonging, Stored } from '#processor/ports.ts'
import { indexDefinitions, isMarked } from './mapping.ts'
import { ElasticsearchServer, type ElasticsearchServerOptions } from './server.ts'

export class ElasticsearchRemoval {
  /** The index of each projection, then its template. */
  readonly stored: Stored[]
  readonly #server: ElasticsearchServer

  /** `owner`: namespace/name of the pipeline. Does not connect yet. */
  constructor(connection: ElasticsearchServerOptions, compiled: CompiledSpec, owner: string) {
    const server = new ElasticsearchServer(connection)
    this.#server = server
    this.stored = indexDefinitions(compiled).flatMap(({ index, template }) => [
      { name: `index ${index}`, remove: () => removeMarked(server, INDEX, index, owner) },
      { name: `index template ${template}`, remove: () => removeMarked(server, TEMPLATE, template, owner) },
    ])
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}

type Found = { name: string; meta: estypes.Metadata | undefined }

type Kind = {
  label: string
  find(client: Client, name: string, options: TransportRequestOptions): Promise<Found[]>
  delete(client: Client, names: string[], options: TransportRequestOptions): Promise<{ acknowledged: boolean }>
}

const INDEX: Kind = {
  label: 'index',
  /** Returns the real names of the indices if `index` is an alias. */
  async find(client, index, options) {
    const found = await client.indices.getMapping({ index, ignore_unavailable: true }, options)
    return Object.entries(found).map(([name, { mappings }]) => ({ name, meta: mappings._meta }))
  },
  delete: (client, index, options) => client.indices.delete({ index, ignore_unavailable: true }, options),
}

const TEMPLATE: Kind = {
  label: 'index template',
  async find(client, name, options) {
    const { index_templates } = await client.indices.getIndexTemplate({ name }, { ...options, ignore: [404] })
    return (index_templates ?? []).map(({ name, index_template }) => ({ name, meta: index_template._meta }))
  },
  delete: (client, name, options) => client.indices.deleteIndexTemplate({ name }, options),
}

/** Removes everything called `name`, or nothing if any of it belongs to somebody else. Throws Retryable. */
async function removeMarked(server: ElasticsearchServer, kind: Kind, name: string, owner: string): Promise<Belonging> {
  const found = await server.request(`reading ${kind.label} ${name}`, (c, o) => kind.find(c, name, o))
  if (found.length === 0) return 'absent'
  if (!found.every(({ meta }) => isMarked(meta, owner))) return 'foreign'
  const names = found.map(({ name }) => name)
  const doing = `removing ${kind.label} ${names.join(', ')}`
  const { acknowledged } = await server.request(doing, (c, o) => kind.delete(c, names, o))
  if (!acknowledged) throw new Retryable(`Elasticsearch error while ${doing}: not acknowledged by all nodes; retrying`)
  return 'ours'
}
