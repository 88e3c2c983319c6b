/** Sections about single records: deduplication, raw table, late events, dead letters; and `spec.commit`. */
import { z } from 'zod'
import { tableName } from '../names.ts'
import { object, optionalObject } from '../object.ts'
import { duration, size } from '../units.ts'

const retention = (rows: string) =>
  duration('1s')
    .optional()
    .meta({
      description: `${rows} are deleted when the watermark of every partition is this far ahead of them; never when left out`,
      example: '720h',
    })

export const deduplication = object({
  horizon: duration()
    .prefault('10m')
    .describe('How long an id is remembered, in event time. Applies to each partition separately'),
  maxIds: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(1_000_000)
    .describe('Maximum number of ids to remember per partition. It bounds the memory of a worker'),
}).describe('Drops events whose id was seen before, and counts them; no deduplication when left out')

export const raw = object({
  table: tableName().describe('Name of the table'),
  retention: retention('Sales'),
}).describe('Also stores every accepted sale in a table, one row per sale or line; no such table when left out')

export const lateEvents = optionalObject({ retention: retention('Late events') }).meta({
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
      'Maximum number of bytes to store per record. A larger record is stored as its beginning and the SHA-256 of the whole',
    ),
  retention: retention('Dead letters'),
}).meta({
  description: 'Records that cannot be used. They are stored in the table dead_letters with the reason',
  example: { maxBytes: '256Mi', whenFull: 'pause', retention: '720h' },
})

export const commit = optionalObject({
  interval: duration('1ms', '60s')
    .prefault('100ms')
    .describe(
      'Time from the start of one commit to the start of the next. A worker waits longer while it has a backlog',
    ),
  maxRecords: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(200_000)
    .describe('A worker commits earlier when it holds this many uncommitted records'),
  maxBytes: size('64Ki')
    .prefault('32Mi')
    .describe('A worker commits earlier when it holds this many uncommitted bytes. It bounds the memory of a worker'),
}).meta({
  description: 'When workers write results to PostgreSQL',
  example: { interval: '500ms' },
})
