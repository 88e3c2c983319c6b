/** Builds the search of a panel as Kibana's Lens does, as far as our panels need it. */
import type { estypes } from '@elastic/elasticsearch'
import { dashboardOf, layerOf, type Panel, type SavedObject } from './saved-objects.ts'

type Aggregations = Record<string, estypes.AggregationsAggregationContainer>
type Column = ReturnType<typeof layerOf>[1]['columns'][string]

/** Returns the search of a panel; `filtered: false` leaves out the panel's query. */
export function searchOf(panel: Panel, objects: SavedObject[], { filtered = true } = {}): estypes.SearchRequest {
  const { timeFrom, timeTo } = dashboardOf(objects)
  const view = dataViewOf(panel, objects)
  const range = { range: { [view.timeFieldName]: { gte: timeFrom, lte: timeTo } } }
  const panelFilter = filtered ? [kqlOf(panel.embeddableConfig.attributes.state.query.query)] : []
  const [, { columns, columnOrder }] = layerOf(panel)
  return {
    index: view.title,
    size: 0,
    query: { bool: { filter: [range, ...panelFilter] } },
    aggs: nested(columnOrder, columns),
  }
}

function dataViewOf(panel: Panel, objects: SavedObject[]) {
  const [layer] = layerOf(panel)
  const reference = panel.embeddableConfig.attributes.references.find(
    ({ name }) => name === `indexpattern-datasource-layer-${layer}`,
  )
  const view = objects.find(({ type, id }) => type === reference?.type && id === reference.id)
  if (view?.type !== 'index-pattern') throw new Error(`panel ${panel.title} refers to no data view`)
  return view.attributes
}

/** Translates `field : "value"`, the only KQL in use, to match_phrase. Throws on any other query. */
function kqlOf(query: string): estypes.QueryDslQueryContainer {
  const [, field, value] = /^(\S+) : "([^"*]+)"$/.exec(query) ?? []
  if (!field || !value) throw new Error(`unsupported KQL: ${query}`)
  return { match_phrase: { [field]: value } }
}

/** Nests the columns: each bucket column contains those after it; metrics are innermost. */
function nested(order: string[], columns: Record<string, Column>): Aggregations {
  const [id, ...rest] = order
  if (!id) return {}
  const column = columns[id]!
  if (column.operationType === 'sum') return { [id]: { sum: { field: column.sourceField } }, ...nested(rest, columns) }
  const inner = nested(rest, columns)
  if (column.operationType === 'date_histogram') {
    const histogram = { field: column.sourceField, fixed_interval: column.params.interval, min_doc_count: 0 }
    return { [id]: { date_histogram: histogram, aggs: inner } }
  }
  const { size, orderBy, orderDirection } = column.params
  const by = columns[orderBy.columnId]!
  const terms = { field: column.sourceField, size, order: { order: orderDirection } } as const
  return { [id]: { terms, aggs: { ...inner, order: { sum: { field: by.sourceField } } } } }
}

/** Returns a response as a table: one array per row, buckets first. Values beyond `size` become a row "beyond size". */
export function rowsOf(panel: Panel, response: estypes.SearchResponse): unknown[][] {
  const [, { columns, columnOrder }] = layerOf(panel)
  return tableOf(columnOrder, columns, response.aggregations as Record<string, Result>)
}

type Result = { value?: number; buckets?: Bucket[]; sum_other_doc_count?: number }
type Bucket = { key: string | number; doc_count: number } & Record<string, Result>

function tableOf(order: string[], columns: Record<string, Column>, results: Record<string, Result>): unknown[][] {
  const [id, ...rest] = order
  const result = results[id!]!
  if (columns[id!]!.operationType === 'sum') return [[result.value]]
  const filled = result.buckets!.filter(bucket => bucket.doc_count > 0)
  const rows = filled.flatMap(bucket => tableOf(rest, columns, bucket).map(row => [bucket.key, ...row]))
  return result.sum_other_doc_count ? [...rows, ['beyond size', result.sum_other_doc_count]] : rows
}
