/**
 * Kibana's saved objects for k8s/examples/ecommerce.yaml: a data view over its two indices, and the dashboard Sales. The
 * format is that of Kibana's own sample data (8.11 and later; newer versions migrate it on import). Charts are stored by
 * value, so two objects are enough.
 */
import { axes, type Columns, card, type Drawing, doughnut, LAYER, overTime, sum, values } from './lens.ts'

type Reference = { type: string; id: string; name: string }

export type SavedObject = {
  type: string
  id: string
  attributes: Record<string, unknown>
  references: Reference[]
  coreMigrationVersion: string
  typeMigrationVersion: string
}

type Chart = { id: string; title: string; index: Index; columns: Columns; drawing: Drawing; place: Place }
type Place = { x: number; y: number; w: number; h: number }
type Index = 'transactions-aggregated' | 'transactions-by-payment'

const DATA_VIEW_ID = 'sales-pipeline-transactions'
const DASHBOARD_ID = 'sales-pipeline-sales'
/** The last versions of Kibana that changed the format of saved objects, and of panels. */
const CORE_VERSION = '8.8.0'
const PANEL_VERSION = '8.11.0'
/** The lowest possible versions, so that older Kibanas can import the objects; newer ones migrate them. */
const TYPE_VERSIONS = { dataView: '8.0.0', dashboard: '8.9.0' }
/** Size of the example's windows: with shorter buckets, some would be empty. */
const WINDOW = '1m'

const revenue = sum('total_revenue', 'Revenue', 2)
const byCategory = values('category', 'Category', 'revenue')

const CHARTS: Chart[] = [
  {
    id: 'total-revenue',
    title: 'Total revenue',
    index: 'transactions-aggregated',
    columns: { revenue },
    drawing: card('revenue'),
    place: { x: 0, y: 0, w: 24, h: 7 },
  },
  {
    id: 'orders',
    title: 'Orders',
    index: 'transactions-aggregated',
    columns: { orders: sum('orders', 'Orders', 0) },
    drawing: card('orders'),
    place: { x: 24, y: 0, w: 24, h: 7 },
  },
  {
    id: 'revenue-by-category',
    title: 'Revenue by category',
    index: 'transactions-aggregated',
    columns: { category: byCategory, revenue },
    drawing: axes('bar_horizontal', 'category', 'revenue'),
    place: { x: 0, y: 7, w: 24, h: 14 },
  },
  {
    id: 'sales-by-payment-method',
    title: 'Sales by payment method',
    index: 'transactions-by-payment',
    columns: { method: values('payment_method', 'Payment method', 'revenue'), revenue: sum('revenue', 'Revenue', 2) },
    drawing: doughnut('method', 'revenue'),
    place: { x: 24, y: 7, w: 24, h: 14 },
  },
  {
    id: 'sales-over-time',
    title: 'Sales over time',
    index: 'transactions-aggregated',
    columns: { category: byCategory, time: overTime('@timestamp', 'Time', WINDOW), revenue },
    drawing: axes('line', 'time', 'revenue', 'category'),
    place: { x: 0, y: 21, w: 48, h: 14 },
  },
]

export const savedObjects = (): SavedObject[] => [dataView(), dashboard()]

function dataView(): SavedObject {
  const money = { id: 'number', params: { pattern: '0,0.00' } }
  const attributes = {
    title: 'transactions-*',
    name: 'Sales',
    timeFieldName: '@timestamp',
    fields: '[]',
    fieldAttrs: '{}',
    fieldFormatMap: JSON.stringify({ total_revenue: money, revenue: money }),
    runtimeFieldMap: '{}',
    typeMeta: '{}',
  }
  return objectOf('index-pattern', DATA_VIEW_ID, attributes, [], TYPE_VERSIONS.dataView)
}

function dashboard(): SavedObject {
  const attributes = {
    title: 'Sales',
    description: 'Revenue and orders by category, payment method and minute',
    kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify({ query: kuery(''), filter: [] }) },
    timeRestore: true,
    timeFrom: 'now-1h',
    timeTo: 'now',
    refreshInterval: { pause: false, value: 5000 },
    optionsJSON: JSON.stringify({ useMargins: true, syncColors: true, syncCursor: true, hidePanelTitles: false }),
    panelsJSON: JSON.stringify(CHARTS.map(panelOf)),
    version: 1,
  }
  // The dashboard repeats the references of its panels under the panel's name, because exports look for them there.
  const references = CHARTS.map(({ id }) => ({ ...dataViewReference, name: `${id}:${dataViewReference.name}` }))
  return objectOf('dashboard', DASHBOARD_ID, attributes, references, TYPE_VERSIONS.dashboard)
}

function panelOf({ id, title, index, columns, drawing, place }: Chart) {
  const layer = { columns, columnOrder: Object.keys(columns), incompleteColumns: {} }
  const { visualizationType, visualization } = drawing
  const state = {
    visualization,
    // Both indices hold the same sales, grouped differently: a chart over both would count each sale twice.
    query: kuery(`_index : "${index}"`),
    filters: [],
    datasourceStates: { formBased: { layers: { [LAYER]: layer } } },
    internalReferences: [],
    adHocDataViews: {},
  }
  const attributes = { title, type: 'lens', visualizationType, references: [dataViewReference], state }
  return {
    version: PANEL_VERSION,
    type: 'lens',
    title,
    panelIndex: id,
    gridData: { ...place, i: id },
    embeddableConfig: { attributes, enhancements: {} },
  }
}

const dataViewReference: Reference = {
  type: 'index-pattern',
  id: DATA_VIEW_ID,
  name: `indexpattern-datasource-layer-${LAYER}`,
}

const kuery = (query: string) => ({ query, language: 'kuery' })

function objectOf(
  type: string,
  id: string,
  attributes: Record<string, unknown>,
  references: Reference[],
  typeMigrationVersion: string,
): SavedObject {
  return { type, id, attributes, references, coreMigrationVersion: CORE_VERSION, typeMigrationVersion }
}
