/** What the operator tells of a pipeline. Figures that change fast are metrics; here they are coarse. */
import type { Structural } from './structural.ts'

const object = (properties: Record<string, Structural>, description: string): Structural => ({
  type: 'object',
  description,
  properties,
})
const integer = (description: string): Structural => ({ type: 'integer', format: 'int64', description })
const text = (description: string): Structural => ({ type: 'string', description })
const time = (description: string): Structural => ({ type: 'string', format: 'date-time', description })

const CONDITION: Structural = {
  type: 'object',
  required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
  properties: {
    type: { type: 'string' },
    status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
    observedGeneration: { type: 'integer', format: 'int64' },
    lastTransitionTime: { type: 'string', format: 'date-time' },
    reason: { type: 'string' },
    message: { type: 'string' },
  },
}

export const STATUS: Structural = object(
  {
    observedGeneration: integer('The generation of the spec that all of this is about'),
    conditions: {
      type: 'array',
      items: CONDITION,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    },
    workers: object(
      {
        replicas: integer('Worker pods that there are'),
        ready: integer('Of these ready'),
        desired: integer('How many there shall be'),
        summary: text('ready/desired'),
        selector: text('The label selector of the worker pods, for the scale subresource'),
      },
      'The worker pods',
    ),
    sinksReached: {
      type: 'array',
      items: { type: 'string' },
      description: 'The sinks of the spec in which a result has stood',
    },
    firstResultAt: time('When a result first stood in every sink'),
    lag: integer('Records of the topic that are not yet in the results; absent while nobody knows'),
    watermark: time('Event time up to which windows are complete'),
    endToEndDelayP99: text('From a sale to its committed result, 99th percentile of the last seconds'),
    catchUp: text('Estimated time until the lag is gone; "never" while more comes in than is done'),
    autoscale: object(
      {
        target: integer('Workers that the figures ask for'),
        reason: text('Why'),
        throughputPerWorker: text('Measured: records done per second of work'),
      },
      'What the autoscaler thinks',
    ),
    lastScale: object(
      {
        from: integer('Workers before'),
        to: integer('Workers after'),
        at: time('When'),
        reason: text('Why'),
        inputs: {
          type: 'object',
          description: 'The figures it was decided from',
          additionalProperties: { type: 'string' },
        },
      },
      'The last change of the number of workers that the operator decided',
    ),
  },
  'Written by the operator',
)
