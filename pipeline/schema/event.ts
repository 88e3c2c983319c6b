/** `spec.event`: how a record of the topic is read. */

import { z } from 'zod'
import { DEFAULT_NOT_BEFORE, MAX_JSON_VALUES } from '../limits.ts'
import { columnName } from '../names.ts'
import { object } from '../object.ts'
import { keyed, text } from '../rules.ts'
import { instant, path, scale } from './common.ts'

const field = object({
  name: columnName().describe('Name of the field in this document, and of its column in tables'),
  path: path().optional().describe('Where the value is in the event. If left out, the same as name'),
  type: z
    .enum(['string', 'number', 'decimal', 'boolean'])
    .default('string')
    .describe(
      'Type of the value. number: a JSON number. decimal: a JSON number, or a string that contains a number, such as "12.50". The types number and decimal are both exact',
    ),
  scale: scale(
    'Decimal places. An event with a value that has more decimal places is a dead letter. If left out: 2 for decimal, 0 for number',
  ),
  default: z.string().max(256).optional().meta({
    description:
      'Value to use if the value is missing or null; write it as text. Without a default, an event whose value is missing or null is a dead letter, unless the field is optional',
    example: 'unknown',
  }),
  rounding: z.enum(['half-even']).optional().meta({
    description:
      'What to do with a value that has more decimal places than scale. half-even: round it half-even to scale, such as 455.20000000000005 to 455.20. If left out, the event is a dead letter',
    example: 'half-even',
  }),
  blankAsNull: z.boolean().optional().meta({
    description:
      'Whether text that is empty or has only white space counts as null, so that the default applies. If left out, it is a string like any other, and no number',
    example: true,
  }),
  optional: z
    .boolean()
    .default(false)
    .describe(
      'Whether the value may be missing; it is then NULL in the raw table. groupBy and measures cannot use such a field unless it has a default',
    ),
}).meta({ label: 'field' })

const ZONE = /^(Z|UTC|[+-](0\d|1[0-4]):[0-5]\d)$/

const PATTERN = '(yyyy|MM|dd|HH|mm|ss|S{1,9}|XXX|[-/.,: _T])+'

const timeFormat = () =>
  text(
    new RegExp(`^(rfc3339|iso8601|epoch|${PATTERN})$`),
    'must be rfc3339, iso8601, epoch, or a pattern such as dd/MM/yyyy HH:mm:ss of yyyy MM dd HH mm ss S XXX and - / . , : _ T blank',
    40,
  ).meta({ label: 'time format' })

const time = object({
  path: path().optional().meta({
    description: 'Where the event time is in the event. Required, except for format record-timestamp',
    example: 'timestamp',
  }),
  format: z.enum(['rfc3339', 'iso8601', 'epoch', 'record-timestamp']).optional().meta({
    description:
      'rfc3339: text such as 2026-01-31T12:00:00Z. iso8601: also zones such as -0300, -03 or UTC, a comma before the fraction, and times without seconds or dates without a time. epoch: a number that counts from 1970-01-01T00:00:00Z. record-timestamp: the timestamp of the Kafka record. If format and formats are left out: rfc3339. You can change rfc3339 to iso8601 and back',
    example: 'iso8601',
  }),
  formats: z
    .array(timeFormat())
    .min(1)
    .max(8)
    .optional()
    .meta({
      description:
        'Several formats instead of one: rfc3339, iso8601, epoch (here also as text) or patterns such as dd/MM/yyyy HH:mm:ss. The first one that fits the value decides',
      example: ['iso8601', 'dd/MM/yyyy HH:mm:ss'],
    }),
  unit: z.enum(['s', 'ms', 'us', 'ns']).default('ms').describe('Unit of the number; only for format epoch'),
  zone: text(ZONE, 'must be UTC or a fixed offset such as -03:00', 6)
    .meta({ label: 'zone' })
    .optional()
    .describe(
      'Zone for times that are written without a zone. If left out, an event with a time without a zone is a dead letter. The zone is a fixed offset, so that results do not depend on a time-zone database',
    ),
  notBefore: instant()
    .default(DEFAULT_NOT_BEFORE)
    .describe(
      'An event with an earlier time is a dead letter. Set it to 0001-01-01T00:00:00Z to accept times before 1970. Can be changed',
    ),
}).describe(
  'The event time: when the sale happened. Windows and the watermark follow it. Cannot be changed, except format and notBefore',
)

const explode = object({
  path: path().describe('Where the array is in the event'),
  fields: keyed(field, 'name', 1, 32).describe('Fields of each element of the array; paths begin at the element'),
  maxLines: z
    .int()
    .min(1)
    .max(MAX_JSON_VALUES)
    .default(10_000)
    .describe('Maximum number of elements of the array. An event with more is a dead letter'),
}).describe(
  'Set this if each event has an array of lines, such as the products of an order. Each line is aggregated like a separate sale, and also has the fields of the event that contains it',
)

export const event = object({
  id: path().optional().describe('Path of the sale’s id (a string or an integer). Deduplication needs this field'),
  integralIds: z.boolean().optional().meta({
    description:
      'Whether a number such as 17850.0 or 1e3 is an id, too: the same as 17850 or 1000. If left out, an event with such an id is a dead letter',
    example: true,
  }),
  time,
  fields: keyed(field, 'name', 0, 48)
    .default([])
    .describe(
      'Fields to read. Everything else in the event is ignored. You can add fields. Of an existing one, you can only change rounding and, unless its type is string, blankAsNull',
    ),
  explode: explode.optional(),
}).describe('How to read a record of the topic, which is one JSON object')

export type Field = z.output<typeof field>
