/** `spec.load`: the built-in generator of simulated sales. */

import { z } from 'zod'
import { MAX_RATE } from '../limits.ts'
import { object, optionalObject } from '../object.ts'
import { duration } from '../units.ts'
import { fraction, instant } from './common.ts'

const mishaps = {
  disorder: optionalObject({
    fraction: fraction().describe('Fraction of events that are out of order'),
    max: duration().prefault('5s').describe('The event time of these events is moved back by at most this duration'),
  }).describe(
    'Events that are sent out of order: their event time is a little earlier than the event time of events sent before them',
  ),
  lateness: optionalObject({
    fraction: fraction().meta({ description: 'Fraction of events that are late', example: 0.01 }),
    by: duration().prefault('10m').describe('The event time of these events is moved back by exactly this duration'),
  }).describe('Events whose event time is far in the past'),
  duplicates: optionalObject({
    fraction: fraction().describe('Fraction of events that are sent twice'),
    within: duration().prefault('5s').describe('The second copy follows the first within this time'),
  }).describe('Events that are sent twice'),
  malformed: optionalObject({
    fraction: fraction().describe('Fraction of events that cannot be read'),
  }).describe('Events that cannot be read and become dead letters'),
}

const bursts = object({
  every: duration('1s').describe('Time from the start of one burst to the start of the next'),
  lasting: duration('10ms').describe('How long a burst lasts; at most the value of `every`'),
  factor: z.number().min(1).max(1000).describe('By how much the rate is multiplied during a burst'),
}).describe('Regular bursts of sales. If left out, there are none')

export const load = optionalObject({
  onCluster: z
    .boolean()
    .default(false)
    .describe('Whether to run the generator on Kubernetes. npm start always runs it'),
  rate: z.number().min(0).max(MAX_RATE).default(100).describe('Events per second'),
  profile: z
    .enum(['ecommerce', 'anomalies', 'black-friday', 'sales-map', 'product-sales'])
    .default('ecommerce')
    .describe('What the sales look like. Each profile fits the example with the same name in k8s/examples'),
  seed: z
    .int()
    .min(0)
    .default(1)
    .describe('Seed of all random choices. With the same `seed` and `startAt`, the generator sends the same events'),
  startAt: instant()
    .optional()
    .describe('Event time of the first event. If left out, the current time. Required if speed is above 1'),
  speed: z
    .number()
    .min(0.001)
    .max(1_000_000)
    .default(1)
    .describe('Seconds of event time that pass in one second of real time'),
  keys: z.int().min(1).max(1_000_000).default(1000).describe('Number of distinct stores, products or customers'),
  keySkew: z
    .number()
    .min(0)
    .max(5)
    .default(0)
    .describe('How unevenly sales are spread over the keys: the exponent of a Zipf distribution. 0 is uniform'),
  ...mishaps,
  bursts: bursts.optional(),
}).describe('The built-in load generator, which sends simulated sales to the topic')
