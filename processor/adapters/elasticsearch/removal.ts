/** Removes the indices and index templates that carry the owner's mark, and its documents from those without a mark. */
import type { Client, TransportRequestOptions } from '@elastic/elasticsearch'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { Removed, Stored } from '#processor/ports.ts'
import { removeDocuments } from './documents.ts'
import { type IndexDefinition, indexDefinitions } from './mapping.ts'
import { type Found, findIndices, findTemplates, isUnowned } from './ownership.ts'
import { ElasticsearchServer, type ElasticsearchServerOptions } from './server.ts'

export class ElasticsearchRemoval {
  readonly #definitions: IndexDefinition[]
  readonly #server: ElasticsearchServer

  /** Does not connect yet. */
  constructor(connection: ElasticsearchServerOptions, compiled: CompiledSpec) {
    this.#server = new ElasticsearchServer(connection)
    this.#definitions = indexDefinitions(compiled)
  }

  /** Returns the index of each projection, then its template. `owner`: see Ownership. */
  stored(owner: string): Stored[] {
    const server = this.#server
    return this.#definitions.flatMap(({ index, template }) => [
      { name: `index ${index}`, remove: () => removeIndex(server, index, owner) },
      { name: `index template ${template}`, remove: () => removeTemplate(server, template, owner) },
    ])
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}

/** Removes everything called `name`, or only documents if any of it is not ours. Throws Retryable. */
async function removeIndex(server: ElasticsearchServer, name: string, owner: string): Promise<Removed> {
  const found = await server.request(`reading index ${name}`, (c, o) => findIndices(c, name, o))
  if (found.length === 0) return 'absent'
  if (found.every(({ mark }) => mark === owner)) {
    const remove = (c: Client, index: string[], o: TransportRequestOptions) =>
      c.indices.delete({ index, ignore_unavailable: true }, o)
    await acknowledged(server, 'index', found, remove)
    return 'ours'
  }
  let removed = 0
  for (const index of found.filter(each => isUnowned(each, owner)))
    removed += await removeDocuments(server, index.name, owner)
  return removed > 0 ? 'adopted' : 'foreign'
}

async function removeTemplate(server: ElasticsearchServer, name: string, owner: string): Promise<Removed> {
  const found = await server.request(`reading index template ${name}`, (c, o) => findTemplates(c, name, o))
  if (found.length === 0) return 'absent'
  if (!found.every(({ mark }) => mark === owner)) return 'foreign'
  await acknowledged(server, 'index template', found, (c, name, o) => c.indices.deleteIndexTemplate({ name }, o))
  return 'ours'
}

async function acknowledged(
  server: ElasticsearchServer,
  kind: string,
  found: Found[],
  remove: (client: Client, names: string[], options: TransportRequestOptions) => Promise<{ acknowledged: boolean }>,
): Promise<void> {
  const names = found.map(({ name }) => name)
  const doing = `removing ${kind} ${names.join(', ')}`
  const { acknowledged } = await server.request(doing, (c, o) => remove(c, names, o))
  if (!acknowledged) throw new Retryable(`Elasticsearch error while ${doing}: not acknowledged by all nodes; retrying`)
}
