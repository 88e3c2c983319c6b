/** Schema of the status. Figures that change fast are rounded here; the exact ones are metrics. */
import type { Structural } from './structural.ts'

/**
 * Without a status, clients that follow kstatus take a new pipeline for ready until the operator writes the first one. −1 is
 * no generation.
 */
const UNOBSERVED = { observedGeneration: -1 }

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
    type: text('What the condition is about, such as Ready'),
    status: { ...text('Whether it holds'), enum: ['True', 'False', 'Unknown'] },
    observedGeneration: integer('Generation of the spec that the condition describes'),
    lastTransitionTime: time('Time at which the status last changed'),
    reason: text('Why, as one word; docs/operations.md has a table of all reasons'),
    message: text('What is wrong, and what to do'),
  },
}

const WRITTEN: Structural = object(
  {
    observedGeneration: integer('Generation of the spec that this status describes'),
    conditions: {
      type: 'array',
      description: 'What works and what does not; kubectl describe shows them, too',
      items: CONDITION,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    },
    workers: object(
      {
        replicas: integer('Number of worker pods'),
        ready: integer('Number of worker pods that are ready'),
        desired: integer('Desired number of worker pods'),
        summary: text('ready/desired'),
        selector: text('Label selector of the worker pods, for the scale subresource'),
      },
      'The worker pods',
    ),
    sinksReached: {
      type: 'array',
      items: { type: 'string' },
      description: 'Sinks of the spec that have received a result',
    },
    firstResultAt: time('Time at which every sink had received its first result'),
    lag: integer(
      'Number of records of the topic that are not yet in the results, including those behind an open transaction; missing while the number is unknown',
    ),
    watermark: time('Event time up to which windows are complete'),
    endToEndDelayP99: text('99th percentile of the time from a sale to its committed result, over the last 10 seconds'),
    catchUp: text(
      'Estimated time until all records that can be read now are in the results; "never" while more records arrive than are processed',
    ),
    autoscale: object(
      {
        target: integer('Number of workers that the autoscaler recommends'),
        reason: text('Reason for this number'),
        throughputPerWorker: text('Measured capacity: records per second that one worker processes while it is busy'),
      },
      'The latest decision of the autoscaler',
    ),
    lastScale: object(
      {
        from: integer('Number of workers before'),
        to: integer('Number of workers after'),
        at: time('Time of the change'),
        reason: text('Reason for the change'),
        inputs: {
          type: 'object',
          description: 'The measurements on which this decision is based',
          additionalProperties: { type: 'string' },
        },
      },
      'The last change of the number of workers by the autoscaler',
    ),
  },
  'Written by the operator',
)

export const STATUS: Structural = { ...WRITTEN, default: UNOBSERVED }
