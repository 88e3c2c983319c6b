/**
 * Reads kibana/saved-objects.ndjson as Kibana does. The schemas follow Kibana's: the attributes of a dashboard (model
 * version 1, which forbids unknown fields), of a data view, and Lens's state by value. Kibana itself is not available to
 * tests.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'

const FILE = resolve(import.meta.dirname, '../../kibana/saved-objects.ndjson')

/** A string that holds JSON, as in many fields of a saved object. */
const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message })
        return z.NEVER
      }
    })
    .pipe(schema)

const reference = z.strictObject({ type: z.string(), id: z.string().min(1), name: z.string().min(1) })
const version = z.string().regex(/^\d+\.\d+\.\d+$/)
const query = z.strictObject({ query: z.string(), language: z.literal('kuery') })
const format = z.strictObject({ id: z.literal('number'), params: z.record(z.string(), z.unknown()) })

const shared = { label: z.string().min(1), customLabel: z.boolean(), sourceField: z.string().min(1) }
const column = z.discriminatedUnion('operationType', [
  z.strictObject({
    ...shared,
    operationType: z.literal('sum'),
    dataType: z.literal('number'),
    isBucketed: z.literal(false),
    scale: z.literal('ratio'),
    params: z.strictObject({ format, emptyAsNull: z.boolean().optional() }),
  }),
  z.strictObject({
    ...shared,
    operationType: z.literal('terms'),
    dataType: z.literal('string'),
    isBucketed: z.literal(true),
    scale: z.literal('ordinal'),
    params: z.strictObject({
      size: z.int().min(1).max(1000),
      orderBy: z.strictObject({ type: z.literal('column'), columnId: z.string() }),
      orderDirection: z.enum(['asc', 'desc']),
      otherBucket: z.boolean(),
      missingBucket: z.boolean(),
      parentFormat: z.strictObject({ id: z.literal('terms') }),
    }),
  }),
  z.strictObject({
    ...shared,
    operationType: z.literal('date_histogram'),
    dataType: z.literal('date'),
    isBucketed: z.literal(true),
    scale: z.literal('interval'),
    params: z.strictObject({
      interval: z.string().regex(/^(auto|\d+(ms|s|m|h|d))$/),
      includeEmptyRows: z.boolean(),
      dropPartials: z.boolean(),
    }),
  }),
])

const layer = z.strictObject({
  columns: z.record(z.string(), column),
  columnOrder: z.array(z.string()).min(1),
  incompleteColumns: z.strictObject({}),
})

const data = { layerId: z.string(), layerType: z.literal('data') }
const metric = z.strictObject({ ...data, metricAccessor: z.string() })
const pie = z.strictObject({
  shape: z.enum(['pie', 'donut', 'treemap', 'mosaic', 'waffle']),
  layers: z.tuple([
    z.strictObject({
      ...data,
      primaryGroups: z.array(z.string()),
      metrics: z.array(z.string()),
      numberDisplay: z.enum(['hidden', 'percent', 'value']),
      categoryDisplay: z.enum(['default', 'inside', 'hide']),
      legendDisplay: z.enum(['default', 'show', 'hide']),
      nestedLegend: z.boolean(),
    }),
  ]),
})
const seriesType = z.enum(['bar', 'line', 'area', 'bar_stacked', 'area_stacked', 'bar_horizontal'])
const xy = z.strictObject({
  legend: z.strictObject({ isVisible: z.boolean(), position: z.enum(['top', 'left', 'right', 'bottom']) }),
  valueLabels: z.enum(['hide', 'show']),
  fittingFunction: z.enum(['None', 'Zero', 'Linear', 'Carry', 'Lookahead', 'Average', 'Nearest']),
  preferredSeriesType: seriesType,
  layers: z.tuple([
    z.strictObject({
      ...data,
      seriesType,
      xAccessor: z.string(),
      accessors: z.array(z.string()).min(1),
      splitAccessor: z.string().optional(),
    }),
  ]),
})

const stateOf = <T extends z.ZodType>(visualization: T) =>
  z.strictObject({
    visualization,
    query,
    filters: z.array(z.never()),
    datasourceStates: z.strictObject({ formBased: z.strictObject({ layers: z.record(z.string(), layer) }) }),
    internalReferences: z.array(z.never()),
    adHocDataViews: z.strictObject({}),
  })
const lens = { title: z.string(), type: z.literal('lens'), references: z.array(reference) }
const lensAttributes = z.discriminatedUnion('visualizationType', [
  z.strictObject({ ...lens, visualizationType: z.literal('lnsMetric'), state: stateOf(metric) }),
  z.strictObject({ ...lens, visualizationType: z.literal('lnsPie'), state: stateOf(pie) }),
  z.strictObject({ ...lens, visualizationType: z.literal('lnsXY'), state: stateOf(xy) }),
])

const cells = z.int().nonnegative()
const panel = z.strictObject({
  version,
  type: z.literal('lens'),
  title: z.string().min(1),
  panelIndex: z.string().min(1),
  gridData: z.strictObject({ x: cells, y: cells, w: cells.min(1), h: cells.min(1), i: z.string() }),
  embeddableConfig: z.strictObject({ attributes: lensAttributes, enhancements: z.strictObject({}) }),
})

const head = {
  id: z.string().min(1),
  references: z.array(reference),
  coreMigrationVersion: version,
  typeMigrationVersion: version,
}
const dataView = z.strictObject({
  ...head,
  type: z.literal('index-pattern'),
  attributes: z.strictObject({
    title: z.string().min(1),
    name: z.string(),
    timeFieldName: z.string(),
    fields: json(z.array(z.unknown())),
    fieldAttrs: json(z.record(z.string(), z.unknown())),
    fieldFormatMap: json(z.record(z.string(), format)),
    runtimeFieldMap: json(z.record(z.string(), z.unknown())),
    typeMeta: json(z.record(z.string(), z.unknown())),
  }),
})
const dashboard = z.strictObject({
  ...head,
  type: z.literal('dashboard'),
  attributes: z.strictObject({
    title: z.string(),
    description: z.string(),
    kibanaSavedObjectMeta: z.strictObject({
      searchSourceJSON: json(z.strictObject({ query, filter: z.array(z.never()) })),
    }),
    timeRestore: z.boolean(),
    timeFrom: z.string(),
    timeTo: z.string(),
    refreshInterval: z.strictObject({ pause: z.boolean(), value: z.number() }),
    optionsJSON: json(z.record(z.string(), z.boolean())),
    panelsJSON: json(z.array(panel).min(1)),
    version: z.number(),
  }),
})

const savedObject = z.discriminatedUnion('type', [dataView, dashboard])

export type SavedObject = z.infer<typeof savedObject>
export type Panel = z.infer<typeof panel>
export type Layer = z.infer<typeof layer>

/** Returns the saved objects in a text. Throws when Kibana would not accept a line. */
export function readSavedObjects(text = readFileSync(FILE, 'utf8')): SavedObject[] {
  const lines = text.split('\n').filter(line => line !== '')
  return lines.map(line => savedObject.parse(JSON.parse(line)))
}

export function dashboardOf(objects: SavedObject[]) {
  const found = objects.find(object => object.type === 'dashboard')
  if (!found) throw new Error('no dashboard among the saved objects')
  return found.attributes
}

/** Returns id and content of a panel's only layer. Throws when the panel does not have exactly one. */
export function layerOf({ title, embeddableConfig: { attributes } }: Panel): [id: string, layer: Layer] {
  const layers = Object.entries(attributes.state.datasourceStates.formBased.layers)
  if (layers.length !== 1) throw new Error(`panel ${title} has ${layers.length} layers, expected 1`)
  return layers[0]!
}

/** Returns the columns that the drawing of a panel shows. */
export function drawn({ embeddableConfig: { attributes } }: Panel): string[] {
  if (attributes.visualizationType === 'lnsMetric') return [attributes.state.visualization.metricAccessor]
  if (attributes.visualizationType === 'lnsPie')
    return attributes.state.visualization.layers.flatMap(l => [...l.primaryGroups, ...l.metrics])
  return attributes.state.visualization.layers.flatMap(l => [
    l.xAccessor,
    ...(l.splitAccessor ? [l.splitAccessor] : []),
    ...l.accessors,
  ])
}
