/** Reads the documents of a projection over HTTP and converts them to rows. */
import { createHash } from 'node:crypto'
import { exchange, type TlsSettings } from './http.ts'
import { aggregationColumns, type Cell, markField, numberText, rowText, type Table } from './rows.ts'
import { type Aggregation, fieldNamed, type Projection, type Rules } from './spec.ts'
import type { AggregationRow, FoundRow } from './tables.ts'
import { parseRfc3339 } from './time.ts'

export interface ElasticsearchAddress {
  url: string
  user?: string
  password?: string
  tls?: TlsSettings
}

interface Hit {
  _id: string
  _version: number
  _source: Record<string, unknown>
}

interface Page {
  _scroll_id: string
  hits: { hits: Hit[] }
}

const PAGE = 5000

/** The expected documents of an index, built from the rows of PostgreSQL as they are read. */
export class ExpectedDocuments {
  readonly table: Table
  /** namespace/name/owner_id of the pipeline. */
  readonly owner: string
  private readonly aggregation: Aggregation

  constructor(aggregation: Aggregation, { index }: Projection, owner: string) {
    const columns = aggregationColumns(aggregation)
    this.aggregation = aggregation
    this.owner = owner
    this.table = {
      name: `elasticsearch/${index}`,
      key: ['_id'],
      values: ['_version', ...columns.key, ...columns.values, 'final', 'partial'],
      rows: new Map(),
    }
  }

  add(row: AggregationRow): void {
    const marks = [row.final, row.partial].map(String)
    const cells: Cell[] = [row.version, ...JSON.parse(row.key), ...JSON.parse(row.values), ...marks]
    this.table.rows.set(rowText([documentId(this.owner, this.aggregation.name, row)]), rowText(cells))
  }

  /**
   * Returns which documents of an index that others may use belong to the pipeline: by their id, or because a release up
   * to 0.3.0 wrote one of the rows under an id without the owner. Call it before the rows are compared.
   */
  owned(): (id: string) => boolean {
    const start = idStart(this.owner)
    const former = new Set([...this.table.rows.keys()].map(key => String(JSON.parse(key)[0]).slice(start.length)))
    return id => id.startsWith(start) || former.has(id)
  }
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex')

const idStart = (owner: string) => `${hash(owner).slice(0, 32)}-`

/** Returns `OWNER-KEY` as docs/tables.md defines it. */
export function documentId(owner: string, aggregation: string, row: Pick<AggregationRow, 'key' | 'groups'>): string {
  const start = JSON.parse(row.key)[0] as Cell
  const text = typeof start === 'number' ? new Date(start).toISOString() : start
  return idStart(owner) + hash(JSON.stringify([aggregation, text, ...row.groups]))
}

/** Yields the documents of a projection's index whose id `isOwned` accepts. */
export async function* documents(
  address: ElasticsearchAddress,
  { index, fields }: Projection,
  aggregation: Aggregation,
  rules: Rules,
  isOwned: (id: string) => boolean,
): AsyncGenerator<FoundRow> {
  const readers = columnReaders(aggregation, rules)
  const mark = markField(aggregation, fields)
  // A search finds documents only after a refresh.
  await request(address, `/${index}/_refresh`)
  const query = { size: PAGE, version: true, sort: ['_doc'], query: { match_all: {} } }
  let page = await request<Page>(address, `/${index}/_search?scroll=5m`, query)
  while (page && page.hits.hits.length > 0) {
    for (const { _id, _version, _source } of page.hits.hits) {
      if (!isOwned(_id)) continue
      const cells = readers.map(([name, read]) => read(own(_source, own(fields, name) ?? name)))
      // Documents that a release up to 0.3.0 wrote have no mark.
      const partial = String(own(_source, mark) ?? false)
      yield { key: rowText([_id]), values: rowText([String(_version), ...cells, partial]) }
    }
    page = await request<Page>(address, '/_search/scroll', { scroll: '5m', scroll_id: page._scroll_id })
  }
}

/** Returns whether every index with this name or alias has the owner's mark. */
export async function isMarked(address: ElasticsearchAddress, index: string, owner: string): Promise<boolean> {
  type Mappings = Record<string, { mappings: { _meta?: { salesPipeline?: unknown } } }>
  const found = (await request<Mappings>(address, `/${index}/_mapping`, undefined, 'GET')) ?? {}
  return Object.values(found).every(({ mappings }) => mappings._meta?.salesPipeline === owner)
}

/** Characters of an error page to show. */
const MAX_ANSWER = 1000

/** Resolves with undefined when the index does not exist. Rejects on any other error status. */
async function request<T>(
  address: ElasticsearchAddress,
  path: string,
  body?: object,
  method = 'POST',
): Promise<T | undefined> {
  const { url, user, password, tls } = address
  const headers: Record<string, string> = body ? { 'content-type': 'application/json' } : {}
  if (user) headers.authorization = `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`
  const target = new URL(path, url)
  const answer = await exchange(target, {
    method,
    headers,
    body: body ? JSON.stringify(body) : null,
    ...(tls && { tls }),
  })
  if (answer.status === 404) return undefined
  if (answer.status >= 300)
    throw new Error(`Elasticsearch returned ${answer.status} for ${path}: ${answer.text.slice(0, MAX_ANSWER)}`)
  return JSON.parse(answer.text) as T
}

/** A column may have the name of a method, such as constructor. */
const own = <T>(object: Record<string, T>, name: string): T | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined

type Reader = (value: unknown) => Cell

/** Times outside the years 1 to 9999 are numbers of milliseconds; text with such a year is wrong. */
function moment(value: unknown): number {
  if (typeof value === 'number') return value
  return parseRfc3339(String(value), null) ?? Number.NaN
}

/** Returns a reader for each column of a document. Documents omit infinite window bounds. */
function columnReaders(aggregation: Aggregation, rules: Rules): [column: string, read: Reader][] {
  const text: Reader = value => (value === undefined || value === null ? null : String(value))
  const number: Reader = value => (value === undefined || value === null ? null : numberText(String(value)))
  const numeric = (name: string) => ['number', 'decimal'].includes(fieldNamed(rules, name).type)
  const measures = aggregationColumns(aggregation).values.slice(1)
  return [
    ['window_start', value => (value === undefined ? '-infinity' : moment(value))],
    ...aggregation.groupBy.map((name): [string, Reader] => [name, numeric(name) ? number : text]),
    ['window_end', value => (value === undefined ? 'infinity' : moment(value))],
    ...measures.map((name): [string, Reader] => [name, number]),
    ['final', text],
  ]
}
