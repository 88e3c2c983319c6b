/** Reads the documents of a projection over plain HTTP and converts them to rows. */
import { createHash } from 'node:crypto'
import { aggregationColumns, type Cell, numberText, rowText, type Table } from './rows.ts'
import { type Aggregation, fieldNamed, type Projection, type Rules } from './spec.ts'
import type { AggregationRow, FoundRow } from './tables.ts'

export interface ElasticsearchAddress {
  url: string
  user?: string
  password?: string
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
  private readonly aggregation: Aggregation

  constructor(aggregation: Aggregation, { index }: Projection) {
    const columns = aggregationColumns(aggregation)
    this.aggregation = aggregation
    this.table = {
      name: `elasticsearch/${index}`,
      key: ['_id'],
      values: ['_version', ...columns.key, ...columns.values, 'final'],
      rows: new Map(),
    }
  }

  add(row: AggregationRow): void {
    const cells: Cell[] = [row.version, ...JSON.parse(row.key), ...JSON.parse(row.values), String(row.final)]
    this.table.rows.set(rowText([documentId(this.aggregation.name, row)]), rowText(cells))
  }
}

/** Returns the SHA-256 (hex) of `[aggregation, window_start, …group-by values as text]` as JSON. */
export function documentId(aggregation: string, row: Pick<AggregationRow, 'key' | 'groups'>): string {
  const start = JSON.parse(row.key)[0] as Cell
  const text = typeof start === 'number' ? new Date(start).toISOString() : start
  return createHash('sha256')
    .update(JSON.stringify([aggregation, text, ...row.groups]))
    .digest('hex')
}

/** Yields all documents of a projection's index. */
export async function* documents(
  address: ElasticsearchAddress,
  { index, fields }: Projection,
  aggregation: Aggregation,
  rules: Rules,
): AsyncGenerator<FoundRow> {
  const readers = columnReaders(aggregation, rules)
  // A search finds documents only after a refresh.
  await request(address, `/${index}/_refresh`)
  const query = { size: PAGE, version: true, sort: ['_doc'], query: { match_all: {} } }
  let page = await request(address, `/${index}/_search?scroll=5m`, query)
  while (page && page.hits.hits.length > 0) {
    for (const { _id, _version, _source } of page.hits.hits) {
      const cells = readers.map(([name, read]) => read(own(_source, own(fields, name) ?? name)))
      yield { key: rowText([_id]), values: rowText([String(_version), ...cells]) }
    }
    page = await request(address, '/_search/scroll', { scroll: '5m', scroll_id: page._scroll_id })
  }
}

/** Characters of an error page to show. */
const MAX_ANSWER = 1000

/** Resolves with undefined when the index does not exist. Rejects on any other error status. */
async function request(address: ElasticsearchAddress, path: string, body?: object): Promise<Page | undefined> {
  const { url, user, password } = address
  const headers: Record<string, string> = body ? { 'content-type': 'application/json' } : {}
  if (user) headers.authorization = `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`
  const target = new URL(path, url)
  const response = await fetch(target, { method: 'POST', headers, body: body ? JSON.stringify(body) : null })
  if (response.status === 404) return undefined
  if (!response.ok)
    throw new Error(
      `Elasticsearch returned ${response.status} for ${path}: ${(await response.text()).slice(0, MAX_ANSWER)}`,
    )
  return (await response.json()) as Page
}

/** A column may have the name of a method, such as constructor. */
const own = <T>(object: Record<string, T>, name: string): T | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined

type Reader = (value: unknown) => Cell

/** Returns a reader for each column of a document. Documents omit infinite window bounds. */
function columnReaders(aggregation: Aggregation, rules: Rules): [column: string, read: Reader][] {
  const text: Reader = value => (value === undefined || value === null ? null : String(value))
  const number: Reader = value => (value === undefined || value === null ? null : numberText(String(value)))
  const numeric = (name: string) => ['number', 'decimal'].includes(fieldNamed(rules, name).type)
  const measures = aggregationColumns(aggregation).values.slice(1)
  return [
    ['window_start', value => (value === undefined ? '-infinity' : Date.parse(String(value)))],
    ...aggregation.groupBy.map((name): [string, Reader] => [name, numeric(name) ? number : text]),
    ['window_end', value => (value === undefined ? 'infinity' : Date.parse(String(value)))],
    ...measures.map((name): [string, Reader] => [name, number]),
    ['final', text],
  ]
}
