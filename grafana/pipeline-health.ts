/** The first row, for the engineer on call: green means healthy. */
import { BigValueTextMode } from '@grafana/grafana-foundation-sdk/common'
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard'
import { figure, now, type PanelBuilder, PIPELINE } from './panels.ts'

/** For 0 or 1: red or green. */
const RED_BELOW_1 = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
  { value: null, color: 'red' },
  { value: 1, color: 'green' },
])

const LAG = `sum(max by (partition) (salespipeline_lag_records{${PIPELINE}}))`
const DONE = `sum(rate(salespipeline_records_total{${PIPELINE}}[$__rate_interval]))`

export const HEALTH: PanelBuilder[] = [
  figure(
    {
      title: 'Ready',
      description:
        'Reason of the condition Ready: green while results reach every sink. kubectl describe spl shows its message.',
      unit: 'none',
      alert: 'SalesPipelineNotReady',
    },
    now([`salespipeline_operator_ready{${PIPELINE}}`, '{{reason}}']),
    6,
  )
    .textMode(BigValueTextMode.Name)
    .thresholds(RED_BELOW_1),
  figure(
    {
      title: 'Alerts',
      description: 'Firing alerts of this pipeline. Each links to its section of the runbook.',
      unit: 'none',
      steps: { red: 1 },
    },
    now([`count(ALERTS{alertstate="firing", ${PIPELINE}}) or vector(0)`, 'firing']),
    3,
  ),
  figure(
    {
      title: 'Workers missing',
      description: 'Workers that are expected but are not ready.',
      unit: 'none',
      alert: 'SalesPipelineNoWorkers',
      steps: { orange: 1 },
    },
    now([
      `max(salespipeline_operator_workers{${PIPELINE}, state="desired"}) - max(salespipeline_operator_workers{${PIPELINE}, state="ready"})`,
      'missing',
    ]),
    3,
  ),
  figure(
    {
      title: 'End-to-end p99',
      description:
        'From the creation of a sale to the commit that contains it, 99th percentile of the last five minutes.',
      unit: 's',
      alert: 'SalesPipelineDelayHigh',
      steps: { orange: 1, red: 5 },
    },
    now([
      `histogram_quantile(0.99, sum by (le) (rate(salespipeline_end_to_end_delay_seconds_bucket{${PIPELINE}}[5m])))`,
      'p99',
    ]),
  ),
  figure(
    {
      title: 'Lag',
      description: 'Records of the topic that are not yet in the results, all partitions.',
      unit: 'short',
      alert: 'SalesPipelineFallsBehind',
    },
    now([LAG, 'lag']),
  ),
  figure(
    {
      title: 'Lag in seconds of work',
      description: 'Time to process the backlog at the current rate.',
      unit: 's',
      alert: 'SalesPipelineFallsBehind',
      steps: { orange: 10, red: 60 },
    },
    now([`${LAG} / (${DONE} > 0) or (${LAG} == 0)`, 'lag']),
  ),
  figure(
    {
      title: 'Records per second',
      description: 'Records read and committed, including duplicates and dead letters.',
      unit: 'cps',
      alert: 'SalesPipelineNoSales',
    },
    now([DONE, 'records']),
  ),
  figure(
    {
      title: 'Watermark age',
      description:
        'How far event time is behind the clock. Windows before the watermark are complete. When old data is read again, look only at whether the value decreases.',
      unit: 's',
      alert: 'SalesPipelineWatermarkStalls',
    },
    now([`time() - max(salespipeline_watermark_timestamp_seconds{${PIPELINE}})`, 'behind']),
  ),
  figure(
    {
      title: 'Dead letters',
      description: 'Share of the records of the last 15 minutes that could not be used.',
      unit: 'percentunit',
      alert: 'SalesPipelineDeadLetters',
      steps: { orange: 0.005, red: 0.02 },
    },
    now([
      `sum(increase(salespipeline_dead_letters_total{${PIPELINE}}[15m])) / (sum(increase(salespipeline_records_total{${PIPELINE}}[15m])) > 0)`,
      'share',
    ]),
  ),
  figure(
    {
      title: 'Records unaccounted for',
      description:
        'Records that are in no result and are not counted as late, dead letter or duplicate. Any value other than 0 is a bug in SalesPipeline.',
      unit: 'none',
      alert: 'SalesPipelineConservationViolated',
      steps: { red: 1 },
    },
    now([`max(max_over_time(salespipeline_conservation_violation{${PIPELINE}}[6h]))`, 'records']),
  ),
  figure(
    {
      title: 'Conditions now',
      description: 'Conditions that workers raise now, including informational ones. The timeline below names them.',
      unit: 'none',
      alert: 'SalesPipelineBlocked',
      steps: { orange: 1 },
    },
    now([`count(max by (code) (salespipeline_condition{${PIPELINE}}) == 1) or vector(0)`, 'conditions']),
  ),
  figure(
    {
      title: 'Projection backlog',
      description: 'Rows that are newer in PostgreSQL than in Elasticsearch.',
      unit: 'short',
      alert: 'SalesPipelineProjectionBehind',
    },
    now([`max(salespipeline_projection_pending_rows{${PIPELINE}})`, 'rows']),
  ),
]
