/**
 * The schema of the `SalesPipeline` document. Types, defaults, validation, the CRD and docs/reference.md are derived from
 * it. Every object is strict: an unknown field is a fault. Durations are parsed to milliseconds, sizes to bytes.
 */
import { z } from 'zod'
import { lateness } from './lateness.ts'
import { dnsLabel, pipelineName } from './names.ts'
import { object, optionalObject } from './object.ts'
import { aggregations, watermark, window } from './schema/aggregations.ts'
import { fraction, type secretRef } from './schema/common.ts'
import { event } from './schema/event.ts'
import { load } from './schema/load.ts'
import { pods } from './schema/pods.ts'
import { commit, deadLetters, deduplication, lateEvents, raw } from './schema/records.ts'
import { sinks } from './schema/sinks.ts'
import { source } from './schema/source.ts'
import { ingest, workers } from './schema/workloads.ts'
import { plainSpelling, spelled } from './spellings.ts'

export type { Aggregation, Measure, Window } from './schema/aggregations.ts'
export type { Field } from './schema/event.ts'
export type { Projection } from './schema/sinks.ts'

export const API_VERSION = 'salespipeline.dev/v1alpha1'
export const KIND = 'SalesPipeline'

export const spec = object({
  source,
  event,
  window: window.prefault({ type: 'tumbling', size: '1m' }),
  watermark,
  allowedLateness: lateness()
    .prefault('0ms')
    .describe(
      'How long a window accepts events after the watermark has passed its end. Events that arrive after that are stored in the table late_events. unlimited: no event is late and no window becomes final, for history that is not sorted by time',
    ),
  aggregations,
  deduplication: deduplication.optional(),
  raw: raw.optional(),
  lateEvents,
  deadLetters,
  sinks,
  commit,
  telemetry: optionalObject({
    traceSampling: fraction()
      .prefault(0.01)
      .describe('Fraction of sales that carry a trace. Only used if OTEL_EXPORTER_OTLP_ENDPOINT is set'),
  }).meta({ description: 'Traces', example: { traceSampling: 0.1 } }),
  load,
  ingest,
  workers,
  pods,
  deletionPolicy: spelled(['retain', 'delete'])
    .default('retain')
    .describe(
      'What happens to the topic and the results when the pipeline is deleted from Kubernetes. Retain: they are kept. Delete: before the operator removes the finalizer of the pipeline, it deletes the results, and also the topic if the operator created it for this pipeline and no other pipeline reads it. The spellings retain and delete mean the same',
    )
    .transform(plainSpelling),
}).describe('What the pipeline does')

export const document = object({
  apiVersion: z.literal(API_VERSION, { error: `must be ${API_VERSION}` }).describe('Version of this document’s format'),
  kind: z.literal(KIND, { error: `must be ${KIND}` }).describe('Kind of the document'),
  metadata: z
    .looseObject({
      name: pipelineName().describe('Name of the pipeline, unique in its namespace'),
      namespace: dnsLabel().default('default').describe('Namespace of the pipeline'),
    })
    .describe('Kubernetes metadata; labels and annotations are allowed'),
  spec,
})

export type SalesPipeline = z.output<typeof document>
export type Spec = SalesPipeline['spec']
export type Load = Spec['load']
export type SecretRef = z.output<ReturnType<typeof secretRef>>
export type ClientCertSecretRef = NonNullable<NonNullable<Spec['source']['tls']>['clientCertSecretRef']>
