/** What goes through: how much, how late, how well. */
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap'
import { PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { describe, graph, overTime, type PanelBuilder, PIPELINE, percentiles, stacked } from './panels.ts'

const rate = (metric: string, by?: string, more = '') =>
  `sum${by ? ` by (${by})` : ''} (rate(salespipeline_${metric}{${PIPELINE}${more}}[$__rate_interval]))`
const LAG = `sum(max by (partition) (salespipeline_lag_records{${PIPELINE}}))`

export const FLOW: PanelBuilder[] = [
  stacked(
    {
      title: 'Throughput by verdict',
      description:
        'Records per second that were committed. Accepted ones may still be late for some aggregation (below: quality of the data).',
      unit: 'cps',
    },
    [rate('accepted_total'), 'accepted'],
    [rate('duplicates_total'), 'duplicate'],
    [rate('dead_letters_total'), 'dead'],
  ),
  graph(
    {
      title: 'Load: what comes in, what is done',
      description: 'Records per second. What comes in is what is done and what lag grows by.',
      unit: 'cps',
      alert: 'SalesPipelineFallsBehind',
    },
    [rate('records_total'), 'done'],
    [`clamp_min(${rate('records_total')} + deriv(${LAG}[2m:10s]), 0)`, 'comes in'],
  ),
  graph(
    {
      title: 'Lag by partition',
      description:
        'Offsets between what is committed and the last stable one. One line far above the rest is a hot partition. Where most of it is read already, the store is what it waits for.',
      unit: 'short',
      alert: 'SalesPipelineFallsBehind',
    },
    [`max by (partition) (salespipeline_lag_records{${PIPELINE}})`, 'partition {{partition}}'],
    [`sum(max by (partition) (salespipeline_uncommitted_records{${PIPELINE}}))`, 'all: read, not committed'],
  ),
  graph(
    {
      title: 'Time to catch up',
      description:
        'Estimate: lag divided by the rate at which it shrinks. No line: nothing to catch up, or lag does not shrink.',
      unit: 's',
      alert: 'SalesPipelineFallsBehind',
      steps: { red: 3600 },
    },
    [`${LAG} / (-deriv(${LAG}[5m:15s]) > 0)`, 'until no lag'],
  ),
  graph(
    {
      title: 'Watermark behind now',
      description:
        'Event time against the clock: of the pipeline, which is stored, and of each partition. A partition that holds the others back stands out.',
      unit: 's',
      alert: 'SalesPipelineWatermarkStalls',
    },
    [`time() - max(salespipeline_watermark_timestamp_seconds{${PIPELINE}})`, 'pipeline'],
    [
      `time() - max by (partition) (salespipeline_partition_watermark_timestamp_seconds{${PIPELINE}})`,
      'partition {{partition}}',
    ],
  ),
  graph(
    {
      title: 'Windows final, rows removed',
      description: 'Windows per second that became final, and rows per second that retention removed.',
      unit: 'ops',
    },
    [rate('finalised_windows_total'), 'windows final'],
    [rate('removed_rows_total'), 'rows removed'],
  ),
]

/** Buckets are cumulative; Grafana subtracts them from each other. */
function heat(title: string, description: string, histogram: string) {
  const expr = `sum by (le) (increase(${histogram}_bucket{${PIPELINE}}[$__rate_interval]))`
  return describe(new HeatmapBuilder(), { title, description, unit: 'short' })
    .withTarget(overTime([expr, '{{le}}']).format(PromQueryFormat.Heatmap))
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').steps(64))
    .yAxis(new YAxisConfigBuilder().unit('s'))
    .height(8)
    .span(8)
}

export const DELAY: PanelBuilder[] = [
  graph(
    {
      title: 'End-to-end delay',
      description: 'From the moment a sale was made to the commit that holds it, over all records.',
      unit: 's',
      alert: 'SalesPipelineDelayHigh',
      steps: { red: 5 },
    },
    ...percentiles('salespipeline_end_to_end_delay_seconds'),
  ),
  heat(
    'End-to-end delay, every record',
    'How many records had which delay: a second band shows what a percentile hides.',
    'salespipeline_end_to_end_delay_seconds',
  ),
  graph(
    {
      title: 'Projection delay',
      description: 'From the commit of a row to its confirmation by Elasticsearch.',
      unit: 's',
      alert: 'SalesPipelineProjectionBehind',
      steps: { red: 30 },
    },
    ...percentiles('salespipeline_projection_delay_seconds'),
  ),
]

export const STORES: PanelBuilder[] = [
  graph(
    {
      title: 'Commits',
      description: 'Transactions per second that PostgreSQL acknowledged.',
      unit: 'ops',
    },
    [rate('commits_total', 'pod'), '{{pod}}'],
  ),
  graph(
    {
      title: 'Commit failures',
      description:
        'Retryable: PostgreSQL did not answer or had to give up; the same is tried again. Rejected: it refuses the data; the record at fault becomes a dead letter.',
      unit: 'ops',
      alert: 'SalesPipelineCommitsFail',
    },
    [rate('commit_failures_total', 'kind', ', kind!="fenced"'), '{{kind}}'],
  ),
  graph(
    {
      title: 'Fenced commits',
      description:
        'A worker tried to commit what another one owns by now: a few at a rebalance are right, a stream is not.',
      unit: 'ops',
      alert: 'SalesPipelineFencingStorm',
    },
    [rate('commit_failures_total', 'pod', ', kind="fenced"'), '{{pod}}'],
  ),
  graph(
    {
      title: 'Duration of commits',
      description: 'From the start of a transaction to its acknowledgement.',
      unit: 's',
      alert: 'SalesPipelineDelayHigh',
    },
    ...percentiles('salespipeline_commit_duration_seconds'),
  ),
  graph(
    {
      title: 'Projection',
      description: 'Rows per second that Elasticsearch confirmed, and rows that it will never accept.',
      unit: 'ops',
      alert: 'SalesPipelineProjectionRejects',
    },
    [rate('projected_rows_total'), 'confirmed'],
    [rate('projection_faults_total'), 'refused for good'],
  ),
  graph(
    {
      title: 'Rows that wait for the projection',
      description: 'In the outbox, which every commit fills and the projection empties.',
      unit: 'short',
      alert: 'SalesPipelineProjectionBehind',
    },
    [`max(salespipeline_projection_pending_rows{${PIPELINE}})`, 'rows'],
  ),
]

export const QUALITY: PanelBuilder[] = [
  stacked(
    {
      title: 'Dead letters by reason',
      description: 'Records per second that cannot be used. The table dead_letters has each with its bytes.',
      unit: 'cps',
      alert: 'SalesPipelineDeadLetters',
    },
    [rate('dead_letters_total', 'reason'), '{{reason}}'],
  ),
  graph(
    {
      title: 'Late events by aggregation',
      description: 'Late: missed all windows, kept in late_events. Partly late: missed some.',
      unit: 'cps',
      alert: 'SalesPipelineLateEvents',
    },
    [rate('late_events_total', 'aggregation'), '{{aggregation}} late'],
    [rate('partly_late_events_total', 'aggregation'), '{{aggregation}} partly late'],
  ),
  graph(
    {
      title: 'Duplicates',
      description: 'Share of the records whose id was there before, within the horizon: they are counted once.',
      unit: 'percentunit',
    },
    [`${rate('duplicates_total')} / (${rate('records_total')} > 0)`, 'of all records'],
  ),
]
