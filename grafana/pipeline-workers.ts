/** Panels of the workers, the REST ingest, the operator, and the resources that they use. */
import { TimelineValueAlignment, VisibilityMode } from '@grafana/grafana-foundation-sdk/common'
import { FieldColorBuilder, FieldColorModeId, MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as TimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { INFORMATIONAL } from '#pipeline/conditions.ts'
import { describe, graph, overTime, type PanelBuilder, PIPELINE, percentiles, stacked, tableNow } from './panels.ts'

const rate = (metric: string, by: string, more = '') =>
  `sum by (${by}) (rate(${metric}{${PIPELINE}${more}}[$__rate_interval]))`
const workers = (state: string) => `max(salespipeline_operator_workers{${PIPELINE}, state="${state}"})`

export const WORKERS: PanelBuilder[] = [
  graph(
    {
      title: 'Workers',
      description:
        'Desired: the number that is set now. Ready: pods that are ready. Target: the number that the autoscaler recommends (mode observe) or sets (mode active).',
      unit: 'none',
      alert: 'SalesPipelineNoWorkers',
    },
    [workers('desired'), 'desired'],
    [workers('ready'), 'ready'],
    [workers('target'), 'target'],
  ),
  describe(new TableBuilder(), {
    title: 'Last scaling by the operator',
    description: 'When, from how many workers to how many, and why. Empty until the autoscaler changes the number.',
    unit: 'none',
  })
    .withTarget(
      tableNow(`max by (from, to, reason) (salespipeline_operator_last_scale_timestamp_seconds{${PIPELINE}}) * 1000`),
    )
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: { Value: 0, from: 1, to: 2, reason: 3 },
        renameByName: { Value: 'at' },
      },
    })
    .overrideByName('at', [{ id: 'unit', value: 'dateTimeAsIso' }])
    .height(8)
    .span(8),
  graph(
    {
      title: 'Rebalances and removed workers',
      description:
        'Assignment changes per minute, by worker, and dead workers that the operator removed from the group before the session time-out.',
      unit: 'none',
      alert: 'SalesPipelineFencingStorm',
    },
    [`sum by (pod) (increase(salespipeline_rebalances_total{${PIPELINE}}[1m]))`, '{{pod}}'],
    [
      'sum(increase(salespipeline_operator_expelled_total[1m]))',
      'dead workers removed from consumer groups (all pipelines)',
    ],
  ),
  describe(new TimelineBuilder(), {
    title: 'Conditions',
    description: `Conditions that workers report. The following only mean a weaker guarantee: ${[...INFORMATIONAL].join(', ')}. Every other condition means that results do not reach every sink or cannot be trusted.`,
    unit: 'none',
    alert: 'SalesPipelineBlocked',
    steps: { red: 1 },
  })
    .withTarget(overTime([`max by (code) (salespipeline_condition{${PIPELINE}})`, '{{code}}']))
    .mappings([
      {
        type: MappingType.ValueToText,
        options: { 0: { text: 'clear', color: 'green' }, 1: { text: 'active', color: 'red' } },
      },
    ])
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .showValue(VisibilityMode.Auto)
    .alignValue(TimelineValueAlignment.Left)
    .noValue('no condition was raised')
    .height(8)
    .span(8),
  graph(
    {
      title: 'Partitions by worker',
      description: 'Partitions assigned to each worker. A worker with no partition is not needed.',
      unit: 'none',
    },
    [`max by (pod) (salespipeline_assigned_partitions{${PIPELINE}})`, '{{pod}}'],
  ),
  graph(
    {
      title: 'Busy',
      description: 'Share of time that a worker spends processing. Near 1 it is saturated: add workers or CPU.',
      unit: 'percentunit',
      alert: 'SalesPipelineFallsBehind',
      steps: { orange: 0.8, red: 0.95 },
    },
    [`max by (pod) (salespipeline_busy_ratio{${PIPELINE}})`, '{{pod}}'],
  ),
]

export const INGEST: PanelBuilder[] = [
  stacked(
    {
      title: 'Requests by status code',
      description:
        '202: stored in Kafka. 400: invalid sale. 429: Kafka cannot keep up. 503: Kafka does not respond. Throttled: the limits of a client.',
      unit: 'reqps',
      alert: 'SalesPipelineIngestRefuses',
    },
    [rate('salespipeline_ingest_requests_total', 'code'), '{{code}}'],
    [rate('salespipeline_ingest_throttled_total', 'client'), 'throttled {{client}}'],
  ),
  graph(
    {
      title: 'Sales accepted',
      description: 'Sales per second that Kafka acknowledged, by ingest pod.',
      unit: 'cps',
    },
    [rate('salespipeline_ingest_events_total', 'pod'), '{{pod}}'],
  ),
  graph(
    {
      title: 'Bytes accepted, bytes in flight',
      description: 'Bytes per second that Kafka acknowledged, and bytes that wait for an acknowledgement.',
      unit: 'bytes',
    },
    [`sum(rate(salespipeline_ingest_bytes_total{${PIPELINE}}[$__rate_interval]))`, 'acknowledged per second'],
    [`sum(salespipeline_ingest_in_flight_bytes{${PIPELINE}})`, 'in flight'],
  ),
  graph(
    {
      title: 'Time until Kafka acknowledges',
      description: 'From a request’s first send to its last acknowledgement (acks=all).',
      unit: 's',
      alert: 'SalesPipelineIngestRefuses',
    },
    ...percentiles('salespipeline_ingest_produce_seconds'),
  ),
]

export const RESOURCES: PanelBuilder[] = [
  graph({ title: 'CPU', description: 'Cores used, by pod.', unit: 'none' }, [
    rate('process_cpu_seconds_total', 'pod'),
    '{{pod}}',
  ]),
  graph(
    {
      title: 'Memory',
      description:
        'Resident memory of each pod, and the lowest memory limit of the workers. The kernel kills a process above its limit.',
      unit: 'bytes',
      alert: 'SalesPipelineWorkerMemory',
    },
    [`max by (pod) (process_resident_memory_bytes{${PIPELINE}})`, '{{pod}}'],
    [`min(salespipeline_memory_limit_bytes{${PIPELINE}})`, 'limit'],
  ),
  graph(
    {
      title: 'Memory by kind',
      description: 'Heap in use and memory outside it (buffers of Kafka’s record batches), sum over pods.',
      unit: 'bytes',
    },
    [`sum(nodejs_heap_size_used_bytes{${PIPELINE}})`, 'heap'],
    [`sum(nodejs_external_memory_bytes{${PIPELINE}})`, 'external'],
  ),
  graph(
    {
      title: 'Event loop: lag p99',
      description: 'Event-loop delay: how late timers run. Above a few hundred ms, heartbeats and probes are late.',
      unit: 's',
      steps: { orange: 0.2, red: 1 },
    },
    [`max by (pod) (nodejs_eventloop_lag_p99_seconds{${PIPELINE}})`, '{{pod}}'],
  ),
  graph(
    {
      title: 'Garbage collection',
      description: 'Share of time, by pod.',
      unit: 'percentunit',
      steps: { orange: 0.1 },
    },
    [rate('nodejs_gc_duration_seconds_sum', 'pod'), '{{pod}}'],
  ),
  graph({ title: 'Bytes from Kafka', description: 'Record batches fetched, compressed size.', unit: 'Bps' }, [
    rate('salespipeline_fetched_bytes_total', 'pod'),
    '{{pod}}',
  ]),
]

const operator = (metric: string) => `salespipeline_operator_${metric}`

export const OPERATOR: PanelBuilder[] = [
  graph(
    {
      title: 'Leaders',
      description: 'Operator replicas that are the leader: exactly one is expected.',
      unit: 'none',
      alert: 'SalesPipelineOperatorDown',
    },
    [`sum(${operator('leading')})`, 'leaders'],
  ),
  stacked(
    {
      title: 'Reconciles by outcome',
      description: 'Reconciles of all pipelines. A failed one is retried with increasing delay.',
      unit: 'ops',
      alert: 'SalesPipelineOperatorFails',
    },
    [`sum by (outcome) (rate(${operator('reconciles_total')}[$__rate_interval]))`, '{{outcome}}'],
  ),
  graph(
    {
      title: 'Duration of a reconcile',
      description:
        'Time that one reconcile needs, for all pipelines. A reconcile makes a few requests to the API server and to the workers.',
      unit: 's',
    },
    ...[0.5, 0.99].map((q): [string, string] => [
      `histogram_quantile(${q}, sum by (le) (rate(${operator('reconcile_duration_seconds_bucket')}[$__rate_interval])))`,
      `p${q * 100}`,
    ]),
  ),
  graph(
    {
      title: 'Pipelines: all, queued, with a refused status',
      description:
        'Pipelines that the operator serves, those that wait in its work queue, and those whose status the API server refuses.',
      unit: 'none',
      alert: 'SalesPipelineStatusNotWritten',
    },
    [`max(${operator('pipelines')})`, 'pipelines'],
    [`max(${operator('queue_depth')})`, 'queued'],
    [`max(${operator('statuses_not_written')})`, 'status refused'],
  ),
  graph(
    {
      title: 'Write requests',
      description: 'Write requests to the API server, by kind. If nothing changes, the operator writes only its Lease.',
      unit: 'ops',
    },
    [`sum by (resource) (rate(${operator('writes_total')}[$__rate_interval]))`, '{{resource}}'],
  ),
  graph(
    {
      title: 'Changes of the worker count, restarts of watches',
      description: 'In the last ten minutes, for all pipelines.',
      unit: 'none',
    },
    [`sum by (direction) (increase(${operator('scalings_total')}[10m]))`, 'scaled {{direction}}'],
    [`sum by (kind, why) (increase(${operator('watch_restarts_total')}[10m]))`, '{{kind}}: {{why}}'],
  ),
]
