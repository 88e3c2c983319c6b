/** The dashboard of one pipeline: its health first, then the causes. Prometheus. */
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { type PanelBuilder, PROMETHEUS } from './panels.ts'
import { DELAY, FLOW, QUALITY, STORES } from './pipeline-flow.ts'
import { HEALTH } from './pipeline-health.ts'
import { INGEST, OPERATOR, RESOURCES, WORKERS } from './pipeline-workers.ts'
import { RUNBOOK } from './runbook.ts'

/** Series of the operator and of any worker: a pipeline without workers can still be chosen. */
const SERVED = '{__name__=~"salespipeline_(operator_ready|assigned_partitions)"'

const ROWS: [title: string, panels: PanelBuilder[]][] = [
  ['Health', HEALTH],
  ['Flow', FLOW],
  ['Delay', DELAY],
  ['Commits and projection', STORES],
  ['Data quality', QUALITY],
  ['Workers and scaling', WORKERS],
  ['REST ingest', INGEST],
  ['Resources', RESOURCES],
  ['Operator', OPERATOR],
]

export function pipelineDashboard(): Dashboard {
  const dashboard = new DashboardBuilder('SalesPipeline')
    .uid('salespipeline')
    .description('One pipeline: throughput, lag, delay, commits, data quality, scaling, resources')
    .tags(['salespipeline'])
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(choice('namespace', 'Namespace', `label_values(${SERVED}}, pipeline)`).regex('/^([^/]+)\\//'))
    .withVariable(choice('pipeline', 'Pipeline', `label_values(${SERVED}, pipeline=~"$namespace/.*"}, pipeline)`))
    .link(new DashboardLinkBuilder('Runbook').type(DashboardLinkType.Link).icon('doc').url(RUNBOOK).targetBlank(true))
  for (const [title, panels] of ROWS) {
    dashboard.withRow(new RowBuilder(title))
    for (const panel of panels) dashboard.withPanel(panel)
  }
  return dashboard.build()
}

const choice = (name: string, label: string, query: string) =>
  new QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query({ query, refId: name })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
