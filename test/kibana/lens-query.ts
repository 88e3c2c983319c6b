/** The search that Lens makes of a panel, written after what Kibana's Lens sends; of it as much as our panels need. */
import type { estypes } from '@elastic/elasticsearch'
import { dashboardOf, layerOf, type Panel, type SavedObject } from './saved-objects.ts'

type Aggregations = Record<string, estypes.AggregationsAggregationContainer>
type Column = ReturnType<typeof layerOf>[1]['columns'][string]

/** `filtered: false`: without the panel's own query. */
export function searchOf(panel: Panel, objects: SavedObject[], { filtered = true } = {}): estypes.SearchRequest {
  const { timeFrom, timeTo } = dashboardOf(objects)
  const view = dataViewOf(panel, objects)
  const range = { range: { [view.timeFieldName]: { gte: timeFrom, lte: timeTo } } }
  const own = filtered ? [kqlOf(panel.embeddableConfig.attributes.state.query.query)] : []
  const [, { columns, columnOrder }] = layerOf(panel)
  return {
    index: view.title,
    size: 0,
    query: { bool: { filter: [range, ...own] } },
    aggs: nested(columnOrder, columns),
  }
}

function dataViewOf(panel: Panel, objects: SavedObject[]) {
  const [layer] = layerOf(panel)
  const reference = panel.embeddableConfig.attributes.references.find(
    ({ name }) => name === `indexpattern-datasource-layer-${layer}`,
  )
  const view = objects.find(({ type, id }) => type === reference?.type && id === reference.id)
  if (view?.type !== 'index-pattern') throw new Error(`${panel.title}: refers to no data view`)
  return view.attributes
}

/** `field : "value"`, which is all of KQL that is used: a quoted value becomes match_phrase. */
function kqlOf(query: string): estypes.QueryDslQueryContainer {
  const [, field, value] = /^(\S+) : "([^"*]+)"$/.exec(query) ?? []
  if (!field || !value) throw new Error(`not understood: ${query}`)
  return { match_phrase: { [field]: value } }
}

/** Each bucket column holds those after it; metrics are innermost. */
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

/** The answer as a table: one array a row, buckets first. What the chart would hide is a row "beyond size". */
export function rowsOf(panel: Panel, answer: estypes.SearchResponse): unknown[][] {
  const [, { columns, columnOrder }] = layerOf(panel)
  return tableOf(columnOrder, columns, answer.aggregations as Record<string, Answered>)
}

type Answered = { value?: number; buckets?: Bucket[]; sum_other_doc_count?: number }
type Bucket = { key: string | number; doc_count: number } & Record<string, Answered>

function tableOf(order: string[], columns: Record<string, Column>, answers: Record<string, Answered>): unknown[][] {
  const [id, ...rest] = order
  const answer = answers[id!]!
  if (columns[id!]!.operationType === 'sum') return [[answer.value]]
  const filled = answer.buckets!.filter(bucket => bucket.doc_count > 0)
  const rows = filled.flatMap(bucket => tableOf(rest, columns, bucket).map(row => [bucket.key, ...row]))
  return answer.sum_other_doc_count ? [...rows, ['beyond size', answer.sum_other_doc_count]] : rows
}
