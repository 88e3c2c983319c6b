/** Removes the documents of one owner from an index that others use too. */
import { serverText } from '#common/redact.ts'
import { Retryable } from '#processor/errors.ts'
import { idPrefix } from '../projected-row.ts'
import { causes } from './errors.ts'
import type { ElasticsearchServer } from './server.ts'

const PAGE = 5000
/** How long Elasticsearch keeps the position of a search between two requests. */
const KEEP = '5m'

/**
 * Resolves with the number of documents that it removed. Reads the ids of all documents of the index, because
 * Elasticsearch cannot search for the start of an id.
 */
export async function removeDocuments(server: ElasticsearchServer, index: string, owner: string): Promise<number> {
  const prefix = idPrefix(owner)
  // A search finds documents only after a refresh.
  await server.request(`refreshing index ${index}`, (c, o) => c.indices.refresh({ index }, o))
  const search = { index, scroll: KEEP, size: PAGE, sort: ['_doc'], _source: false }
  let page = await server.request(`searching index ${index}`, (c, o) => c.search(search, o))
  let removed = 0
  while (page.hits.hits.length > 0) {
    const ids = page.hits.hits.flatMap(({ _id }) => (_id?.startsWith(prefix) ? _id : []))
    removed += await removeIds(server, index, ids)
    const next = { scroll: KEEP, scroll_id: page._scroll_id! }
    page = await server.request(`searching index ${index}`, (c, o) => c.scroll(next, o))
  }
  await server.request(`ending a search of index ${index}`, (c, o) =>
    c.clearScroll({ scroll_id: page._scroll_id! }, { ...o, ignore: [404] }),
  )
  return removed
}

async function removeIds(server: ElasticsearchServer, index: string, ids: string[]): Promise<number> {
  if (ids.length === 0) return 0
  const operations = ids.map(_id => ({ delete: { _index: index, _id } }))
  const { items } = await server.request(`removing documents from index ${index}`, (c, o) => c.bulk({ operations }, o))
  const failed = items.find(({ delete: item }) => item?.error)?.delete?.error
  if (failed)
    throw new Retryable(
      `Elasticsearch error while removing documents from index ${index}: ${serverText(causes(failed))}; retrying`,
    )
  return items.length
}
