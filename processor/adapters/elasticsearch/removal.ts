/** Removes what the projection made in Elasticsearch: its indices and index templates, known by their mark. */
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
  called: string
  find(client: Client, name: string, options: TransportRequestOptions): Promise<Found[]>
  delete(client: Client, names: string[], options: TransportRequestOptions): Promise<{ acknowledged: boolean }>
}

const INDEX: Kind = {
  called: 'index',
  /** Under their own names where `index` is an alias. */
  async find(client, index, options) {
    const found = await client.indices.getMapping({ index, ignore_unavailable: true }, options)
    return Object.entries(found).map(([name, { mappings }]) => ({ name, meta: mappings._meta }))
  },
  delete: (client, index, options) => client.indices.delete({ index, ignore_unavailable: true }, options),
}

const TEMPLATE: Kind = {
  called: 'index template',
  async find(client, name, options) {
    const { index_templates } = await client.indices.getIndexTemplate({ name }, { ...options, ignore: [404] })
    return (index_templates ?? []).map(({ name, index_template }) => ({ name, meta: index_template._meta }))
  },
  delete: (client, name, options) => client.indices.deleteIndexTemplate({ name }, options),
}

/** All that goes by `name`, or nothing of it where a part is somebody else's. Throws Retryable. */
async function removeMarked(server: ElasticsearchServer, kind: Kind, name: string, owner: string): Promise<Belonging> {
  const found = await server.request(`looking at ${kind.called} ${name}`, (c, o) => kind.find(c, name, o))
  if (found.length === 0) return 'absent'
  if (!found.every(({ meta }) => isMarked(meta, owner))) return 'foreign'
  const names = found.map(({ name }) => name)
  const doing = `removing ${kind.called} ${names.join(', ')}`
  const { acknowledged } = await server.request(doing, (c, o) => kind.delete(c, names, o))
  if (!acknowledged) throw new Retryable(`Elasticsearch: ${doing}: not acknowledged by all nodes`)
  return 'ours'
}
