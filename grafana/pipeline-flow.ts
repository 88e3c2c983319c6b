/** Panels of the flow of records: throughput, lag, delay, commits and data quality. */
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
      title: 'Throughput by outcome',
      description:
        'Records per second that were committed as accepted, duplicate or dead letter. Accepted records may still be late for some aggregations (see Data quality).',
      unit: 'cps',
    },
    [rate('accepted_total'), 'accepted'],
    [rate('duplicates_total'), 'duplicate'],
    [rate('dead_letters_total'), 'dead letter'],
  ),
  graph(
    {
      title: 'Load: arriving and processed',
      description: 'Records per second. Arriving = processed + growth of lag.',
      unit: 'cps',
      alert: 'SalesPipelineFallsBehind',
    },
    [rate('records_total'), 'processed'],
    [`clamp_min(${rate('records_total')} + deriv(${LAG}[2m:10s]), 0)`, 'arriving'],
  ),
  graph(
    {
      title: 'Lag by partition',
      description:
        'Offsets between the last commit and the end of the log (high watermark). One line far above the others is a hot partition. If workers have already read most of the lag but not committed it, PostgreSQL is the bottleneck.',
      unit: 'short',
      alert: 'SalesPipelineFallsBehind',
    },
    [`max by (partition) (salespipeline_lag_records{${PIPELINE}})`, 'partition {{partition}}'],
    [
      `sum(max by (partition) (salespipeline_uncommitted_records{${PIPELINE}}))`,
      'all partitions: read but not committed',
    ],
    [
      `sum(max by (partition) (salespipeline_undecided_records{${PIPELINE}}))`,
      'all partitions: behind an open transaction',
    ],
  ),
  graph(
    {
      title: 'Time to catch up',
      description:
        'Estimate: lag divided by the rate at which it decreases. If there is no line, there is no lag or it does not decrease.',
      unit: 's',
      alert: 'SalesPipelineFallsBehind',
      steps: { red: 3600 },
    },
    [`${LAG} / (-deriv(${LAG}[5m:15s]) > 0)`, 'until the lag is 0'],
  ),
  graph(
    {
      title: 'Watermark behind now',
      description:
        'How far event time is behind the clock, for the pipeline (its watermark as stored in PostgreSQL) and for each partition. If the line of one partition is far above the others, this partition may hold the pipeline back.',
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
      title: 'Final windows, removed rows',
      description: 'Windows that became final, and rows that retention removed, per second.',
      unit: 'ops',
    },
    [rate('finalised_windows_total'), 'final windows'],
    [rate('removed_rows_total'), 'removed rows'],
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
      description: 'From the creation of a sale to the commit that contains it, all records.',
      unit: 's',
      alert: 'SalesPipelineDelayHigh',
      steps: { red: 5 },
    },
    ...percentiles('salespipeline_end_to_end_delay_seconds'),
  ),
  heat(
    'End-to-end delay, every record',
    'Distribution of the delay. Two separate bands mean that one group of records is slower, which percentiles do not show.',
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
        'Retryable: PostgreSQL did not respond or rolled back; the commit is tried again. Rejected: PostgreSQL refuses the data; the bad record becomes a dead letter.',
      unit: 'ops',
      alert: 'SalesPipelineCommitsFail',
    },
    [rate('commit_failures_total', 'kind', ', kind!="fenced"'), '{{kind}}'],
  ),
  graph(
    {
      title: 'Fenced commits',
      description:
        'A worker tried to commit a partition that now belongs to another worker. A few during a rebalance are normal; many over a long time are not.',
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
      description: 'Rows per second that Elasticsearch confirmed, and rows that it permanently rejects.',
      unit: 'ops',
      alert: 'SalesPipelineProjectionRejects',
    },
    [rate('projected_rows_total'), 'confirmed'],
    [rate('projection_faults_total'), 'permanently rejected'],
  ),
  graph(
    {
      title: 'Rows pending for the projection',
      description: 'Rows in the outbox, which every commit fills and the projection empties.',
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
      description: 'Unusable records per second. The table dead_letters stores each one with its bytes.',
      unit: 'cps',
      alert: 'SalesPipelineDeadLetters',
    },
    [rate('dead_letters_total', 'reason'), '{{reason}}'],
  ),
  graph(
    {
      title: 'Late events by aggregation',
      description:
        'Late events missed all their windows and are stored in late_events. Partly late events missed only some windows.',
      unit: 'cps',
      alert: 'SalesPipelineLateEvents',
    },
    [rate('late_events_total', 'aggregation'), '{{aggregation}} late'],
    [rate('partly_late_events_total', 'aggregation'), '{{aggregation}} partly late'],
  ),
  graph(
    {
      title: 'Duplicates',
      description:
        'Share of records whose id was already seen within spec.deduplication.horizon. These duplicates are not counted again.',
      unit: 'percentunit',
    },
    [`${rate('duplicates_total')} / (${rate('records_total')} > 0)`, 'of all records'],
  ),
]
