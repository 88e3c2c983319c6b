/** `spec.window`, `spec.watermark` and `spec.aggregations`: the results to compute, and over which time. */

import { z } from 'zod'
import { MAX_EXPRESSION } from '../expression.ts'
import { lateness } from '../lateness.ts'
import {
  DEFAULT_MAX_FUTURE_SKEW,
  DEFAULT_MAX_PAST_SKEW,
  DEFAULT_OUT_OF_ORDERNESS,
  MAX_SOURCE_LENGTH,
  MAX_SOURCES,
  MAX_WINDOWS_PER_EVENT,
} from '../limits.ts'
import { columnName, identifier, tableName } from '../names.ts'
import { object, optionalObject } from '../object.ts'
import { keyed } from '../rules.ts'
import { duration } from '../units.ts'
import { scale } from './common.ts'

export const window = object({
  type: z
    .enum(['tumbling', 'sliding', 'none'])
    .default('tumbling')
    .describe('tumbling: windows follow one another. sliding: windows overlap. none: one window over all time'),
  size: duration('10ms').optional().describe('Length of a window; required unless type is none'),
  slide: duration('10ms')
    .optional()
    .meta({
      description: `Time from the start of one window to the start of the next; only for type sliding. size must be a multiple of slide, and at most ${MAX_WINDOWS_PER_EVENT} × slide`,
      example: '10s',
    }),
  offset: duration()
    .optional()
    .describe(
      'Shifts the start of all windows. Without it, windows align to 1970-01-01T00:00:00Z. Must be less than slide, or less than size if there is no slide',
    ),
})
  .meta({ label: 'window' })
  .describe('Windows of event time over which sales are aggregated. Cannot be changed for an existing aggregation')

export const watermark = optionalObject({
  outOfOrderness: duration()
    .prefault(DEFAULT_OUT_OF_ORDERNESS)
    .describe(
      'How far the event times of a partition may be out of order. The watermark of a partition is its greatest event time minus this value. At least twice maxFutureSkew, so that one clock that is ahead makes no correct event late',
    ),
  idleTimeout: duration('100ms')
    .prefault('10s')
    .describe(
      'A partition without new records for this long is idle: it no longer holds the pipeline’s watermark back',
    ),
  idle: z
    .enum(['hold', 'advance'])
    .default('hold')
    .describe(
      'What the pipeline’s watermark does while every partition is idle. hold: it stays. advance: it follows the clock, so that the last windows become final',
    ),
  maxFutureSkew: duration()
    .prefault(DEFAULT_MAX_FUTURE_SKEW)
    .describe(
      'An event is a dead letter if its event time is later than the timestamp of its record by more than this value',
    ),
  maxPastSkew: duration().prefault(DEFAULT_MAX_PAST_SKEW).meta({
    description:
      'The condition EventTimesFarBehind reports events whose event time is earlier than the timestamp of their record by more than this value. Most often, their unit is wrong. They are counted like all others',
    example: '30d',
  }),
  sources: object({
    field: identifier().meta({
      description: `Field of event.fields that names the source of an event, such as the store. A null, or a value of more than ${MAX_SOURCE_LENGTH} characters, names no source`,
      example: 'store',
    }),
    atLeast: z
      .int()
      .min(2)
      .max(MAX_SOURCES)
      .default(2)
      .describe('Number of sources that must have reached an event time'),
  })
    .optional()
    .meta({
      description:
        'The watermark of a partition follows the greatest event time that several sources have reached, instead of the greatest event time. Then one source whose clock is ahead does not move it. A partition with fewer sources has no watermark: none of its events is late, and windows become final only while it is idle',
      example: { field: 'store', atLeast: 2 },
    }),
}).describe('How event time advances. The watermark decides which windows are complete')

const measure = object({
  name: columnName().describe('Name of the column'),
  op: z
    .enum(['count', 'sum', 'min', 'max', 'average'])
    .describe('What to compute. An average has the column <name> and also the columns <name>_sum and <name>_count'),
  of: z
    .string()
    .max(MAX_EXPRESSION)
    .optional()
    .meta({
      lengthBound: MAX_EXPRESSION + 30,
      label: 'expression',
      description:
        'Field or expression from which the result is computed; required unless op is count. With op count, `lines` and `events` are older names for the values of per',
      example: 'quantity * price',
    }),
  per: z.enum(['lines', 'events']).optional().meta({
    description:
      'What is counted or added when a record has several lines (event.explode). lines: every line; this is also the default. events: each record once per row, that is, per window and combination of groupBy values. Required if of uses no field of a line; events is allowed only then',
    example: 'events',
  }),
  scale: scale(
    'Decimal places of the result, which is rounded half-even once, when it is shown. A sum with fewer decimal places than its expression also has the exact column <name>_sum. If left out, the expression decides the number of decimal places',
  ),
  roundEach: z
    .boolean()
    .default(false)
    .describe(
      'Whether sum and average round each event or line to scale before they add it, instead of rounding only the result',
    ),
})

const aggregation = object({
  name: tableName().describe('Name of the aggregation and of its table'),
  window: window.optional().describe('Windows of this aggregation. If left out, spec.window. Cannot be changed'),
  allowedLateness: lateness().optional().meta({
    description: 'Allowed lateness of this aggregation. If left out, spec.allowedLateness',
    example: '1h',
  }),
  groupBy: z
    .array(identifier())
    .max(16)
    .meta({ listSet: true })
    .default([])
    .describe('Fields to group by: each window has one row per combination of their values. Cannot be changed'),
  measures: keyed(measure, 'name', 1, 24).describe('Columns to compute. Cannot be changed for an existing aggregation'),
  retention: duration('1s').optional().meta({
    description:
      'Rows are deleted when the watermark of every partition has passed the end of their window by this duration. If left out, they are never deleted',
    example: '720h',
  }),
})

export const aggregations = keyed(aggregation, 'name', 1, 16).describe(
  'Results to compute; each becomes one table in PostgreSQL. A changed aggregation needs a new name',
)

export type Window = z.output<typeof window>
export type Aggregation = z.output<typeof aggregation>
export type Measure = z.output<typeof measure>
