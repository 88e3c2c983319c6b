/** The parts of a Lens chart as Kibana stores them: columns define the query to Elasticsearch, a drawing the look. */

export type Column = {
  label: string
  customLabel: true
  dataType: 'number' | 'string' | 'date'
  operationType: 'sum' | 'terms' | 'date_histogram'
  isBucketed: boolean
  scale: 'ratio' | 'ordinal' | 'interval'
  sourceField: string
  params: Record<string, unknown>
}

/** Bucket columns come first, the outermost first, as Lens nests them. */
export type Columns = Record<string, Column>

export type Drawing = { visualizationType: 'lnsMetric' | 'lnsXY' | 'lnsPie'; visualization: Record<string, unknown> }

/** Every chart has one layer. */
export const LAYER = 'sales'

export function sum(sourceField: string, label: string, decimals: number): Column {
  const params = { format: { id: 'number', params: { decimals } } }
  return {
    label,
    customLabel: true,
    dataType: 'number',
    operationType: 'sum',
    isBucketed: false,
    scale: 'ratio',
    sourceField,
    params,
  }
}

/** Buckets by the values of a field, the greatest by column `by` first; values beyond `size` share one bucket. */
export function values(sourceField: string, label: string, by: string, size = 12): Column {
  const params = {
    size,
    orderBy: { type: 'column', columnId: by },
    orderDirection: 'desc',
    otherBucket: true,
    missingBucket: false,
    parentFormat: { id: 'terms' },
  }
  return {
    label,
    customLabel: true,
    dataType: 'string',
    operationType: 'terms',
    isBucketed: true,
    scale: 'ordinal',
    sourceField,
    params,
  }
}

/** Buckets by time. `interval` is the minimum: for long time ranges Kibana chooses a longer one. */
export function overTime(sourceField: string, label: string, interval: string): Column {
  const params = { interval, includeEmptyRows: true, dropPartials: false }
  return {
    label,
    customLabel: true,
    dataType: 'date',
    operationType: 'date_histogram',
    isBucketed: true,
    scale: 'interval',
    sourceField,
    params,
  }
}

export function card(metric: string): Drawing {
  return {
    visualizationType: 'lnsMetric',
    visualization: { layerId: LAYER, layerType: 'data', metricAccessor: metric },
  }
}

export function doughnut(group: string, metric: string): Drawing {
  const layer = {
    layerId: LAYER,
    layerType: 'data',
    primaryGroups: [group],
    metrics: [metric],
    numberDisplay: 'percent',
    categoryDisplay: 'default',
    legendDisplay: 'show',
    nestedLegend: false,
  }
  return { visualizationType: 'lnsPie', visualization: { shape: 'donut', layers: [layer] } }
}

/** `split`: column with one line or bar for each of its values. */
export function axes(seriesType: 'bar_horizontal' | 'line', x: string, y: string, split?: string): Drawing {
  const layer = {
    layerId: LAYER,
    layerType: 'data',
    seriesType,
    xAccessor: x,
    accessors: [y],
    ...(split && { splitAccessor: split }),
  }
  const visualization = {
    legend: { isVisible: split !== undefined, position: 'right' },
    valueLabels: 'hide',
    fittingFunction: 'None',
    preferredSeriesType: seriesType,
    layers: [layer],
  }
  return { visualizationType: 'lnsXY', visualization }
}
