/** Common settings of all panels; the dashboards state only the differences. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  type DataSourceRef,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { sectionOf } from './runbook.ts'

/** Both dashboards take their data source from the variable of that name. */
export const datasource = (type: string): DataSourceRef => ({ type, uid: `\${datasource}` })
export const PROMETHEUS = datasource('prometheus')

export type Steps = { orange?: number; red?: number }
export type About = {
  title: string
  description: string
  unit: string
  /** The alert whose section of the runbook says what to do. */
  alert?: string
  /** Values from which the panel turns orange (look at it) or red (something is wrong). */
  steps?: Steps
}

/** PromQL; `legend` names the series. */
export type Query = [expr: string, legend: string]

/** Label matcher of the chosen pipeline. */
export const PIPELINE = 'pipeline="$pipeline"'

export function thresholds({ orange, red }: Steps = {}) {
  const steps = [
    { value: null, color: 'green' },
    ...(orange === undefined ? [] : [{ value: orange, color: 'orange' }]),
    ...(red === undefined ? [] : [{ value: red, color: 'red' }]),
  ]
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps)
}

type Common = {
  title(title: string): unknown
  description(text: string): unknown
  datasource(ref: DataSourceRef): unknown
  unit(unit: string): unknown
  links(links: Builder<unknown>[]): unknown
  thresholds(config: ReturnType<typeof thresholds>): unknown
}

/** Sets title, description, unit, thresholds and the link to the runbook. */
export function describe<P extends Common>(
  panel: P,
  { title, description, unit, alert, steps }: About,
  from = PROMETHEUS,
): P {
  panel.title(title)
  panel.description(description)
  panel.datasource(from)
  panel.unit(unit)
  panel.thresholds(thresholds(steps))
  if (alert)
    panel.links([
      new DashboardLinkBuilder(`Runbook: ${alert}`)
        .type(DashboardLinkType.Link)
        .url(sectionOf(alert))
        .targetBlank(true),
    ])
  return panel
}

const refId = (index: number) => String.fromCharCode(65 + index)

export const overTime = ([expr, legend]: Query, index = 0) =>
  new DataqueryBuilder().datasource(PROMETHEUS).refId(refId(index)).expr(expr).legendFormat(legend).range()

export const now = ([expr, legend]: Query, index = 0) =>
  new DataqueryBuilder().datasource(PROMETHEUS).refId(refId(index)).expr(expr).legendFormat(legend).instant()

export const tableNow = (expr: string) => now([expr, '']).format(PromQueryFormat.Table)

/** One figure, coloured by its thresholds. */
export function figure(about: About, target: Builder<Dataquery>, width = 4) {
  return describe(new StatBuilder(), about, PROMETHEUS)
    .withTarget(target)
    .colorMode(BigValueColorMode.BackgroundSolid)
    .graphMode(BigValueGraphMode.None)
    .textMode(BigValueTextMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .noValue('unknown')
    .height(4)
    .span(width)
}

/** Lines over time. */
export function graph(about: About, ...queries: Query[]) {
  const panel = describe(new GraphBuilder(), about)
    .targets(queries.map(overTime))
    .lineWidth(1)
    .fillOpacity(8)
    .showPoints(VisibilityMode.Never)
    .legend(legend())
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .min(0)
    .height(8)
    .span(8)
  return panel
}

/** Stacked lines over time: parts of a whole. */
export const stacked = (about: About, ...queries: Query[]) =>
  graph(about, ...queries)
    .fillOpacity(40)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal))

export const legend = (placement = LegendPlacement.Bottom) =>
  new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(placement).showLegend(true).calcs([])

export type PanelBuilder = Builder<Panel>

/** 50th, 95th and 99th percentile of a classic histogram. */
export const percentiles = (histogram: string, selector = PIPELINE): Query[] =>
  [0.5, 0.95, 0.99].map(q => [
    `histogram_quantile(${q}, sum by (le) (rate(${histogram}_bucket{${selector}}[$__rate_interval])))`,
    `p${q * 100}`,
  ])
