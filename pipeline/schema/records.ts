/** Sections about single records: deduplication, raw table, late events, dead letters; and `spec.commit`. */
import { z } from 'zod'
import { tableName } from '../names.ts'
import { object, optionalObject } from '../object.ts'
import { duration, size } from '../units.ts'

/** `time`: what is compared with the watermark. */
const retention = (rows: string, time: string) =>
  duration('1s')
    .optional()
    .meta({
      description: `${rows} are deleted when the watermark of every partition has passed ${time} by this duration. If left out, they are never deleted`,
      example: '720h',
    })

export const deduplication = object({
  horizon: duration()
    .prefault('10m')
    .describe('How long an id is remembered, measured in event time, separately for each partition'),
  maxIds: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(1_000_000)
    .describe('Maximum number of ids to remember per partition. It bounds the memory of a worker'),
}).describe(
  'Ignores events whose id was seen before. They are counted as duplicates, but do not change results. If left out, there is no deduplication',
)

export const raw = object({
  table: tableName().describe('Name of the table'),
  retention: retention('Sales', 'their event time'),
}).describe(
  'Also stores each sale in a table, one row per sale or line. Duplicates and sales that are late for every aggregation are not stored there. If left out, there is no such table',
)

export const lateEvents = optionalObject({ retention: retention('Late events', 'their event time') }).meta({
  description: 'Events that missed at least one window. They are stored in the table late_events',
  example: { retention: '720h' },
})

export const deadLetters = optionalObject({
  maxBytes: size('1Mi').prefault('1Gi').describe('Maximum number of payload bytes in the table, over all partitions'),
  whenFull: z
    .enum(['pause', 'coordinates'])
    .default('coordinates')
    .describe(
      'What to do when maxBytes is reached. pause: stop reading. coordinates: store further records without their bytes',
    ),
  maxPayload: size('1Ki')
    .prefault('64Ki')
    .describe(
      'Maximum number of bytes to store per record. Of a larger record, only the first bytes and the SHA-256 of all its bytes are stored',
    ),
  retention: retention('Dead letters', 'the timestamp of their record'),
}).meta({
  description: 'Records that cannot be used. They are stored in the table dead_letters with the reason',
  example: { maxBytes: '256Mi', whenFull: 'pause', retention: '720h' },
})

export const commit = optionalObject({
  interval: duration('1ms', '60s')
    .prefault('100ms')
    .describe(
      'Time from the start of one commit to the start of the next. While a worker’s lag is greater than maxRecords, this time is at least 1s',
    ),
  maxRecords: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(200_000)
    .describe(
      'When a worker holds this number of uncommitted records, it commits without waiting for the end of the interval',
    ),
  maxBytes: size('64Ki')
    .prefault('32Mi')
    .describe(
      'When a worker holds this number of uncommitted bytes, it commits without waiting for the end of the interval. This bounds the memory of a worker',
    ),
}).meta({
  description: 'When workers write results to PostgreSQL',
  example: { interval: '500ms' },
})
