/**
 * Changes of a live pipeline that the API server refuses, in CEL over `oldSelf`: window, group-by, measures and the mapping
 * of fields are an aggregation's identity (contract, section 2). A new name creates a new aggregation; the old rows stay. The
 * place of the results stays as well.
 */
import type { Rule } from '#pipeline/rules.ts'
import type { CelRule } from './admission-rules.ts'
import { named } from './aggregation-rules.ts'

const anotherName =
  'give the changed aggregation a new name. The new one starts at the current position of the stream; the rows of the old one are kept'

/** Compares the order as well, which table columns and document ids depend on. CEL ignores it in lists merged by key. */
const sameList = (list: string, of = 'x') => `self.${list}.map(x, ${of}) == oldSelf.${list}.map(x, ${of})`

/** A measure without `per` adds each line. */
const SAME_MEASURE = [
  ...['name', 'op', 'roundEach'].map(name => `m.${name} == o.${name}`),
  ...['of', 'scale'].map(name => `has(m.${name}) == has(o.${name}) && (!has(m.${name}) || m.${name} == o.${name})`),
  "(has(m.per) ? m.per : 'lines') == (has(o.per) ? o.per : 'lines')",
].join(' && ')

const windowOf = (aggregation: string, spec: string) =>
  `(has(${aggregation}.window) ? dyn(${aggregation}.window) : dyn(${spec}.window))`

const SAME_WINDOW = `!oldSelf.aggregations.exists(o, o.name == a.name && ${windowOf('o', 'oldSelf')} != ${windowOf('a', 'self')})`

const rawColumns = 'event.fields'

const hasResults =
  "has(oldSelf.status) && has(oldSelf.status.sinksReached) && 'postgres' in oldSelf.status.sinksReached"

/** Returns CEL that is true if a field of spec.sinks.postgres is the same as before, or missing as before. */
const isSamePlace = (name: string) => isSame(name, 'spec.sinks.postgres.')

/**
 * Rules of the whole object, because they hold only once PostgreSQL has received a result: until then, a wrong address can
 * be corrected. Workers that open another place would find no results, and start over.
 */
export const PLACE_OF_RESULTS: CelRule[] = ['host', 'port', 'database', 'schema'].map(name => ({
  rule: `!(${hasResults}) || ${isSamePlace(name)}`,
  message:
    'cannot be changed: results are stored there, and would start over in another place. To move the results, see "Move the results" in docs/operations.md. To start over, create a pipeline with another name',
  fieldPath: `.spec.sinks.postgres.${name}`,
}))

/** Returns CEL that is true if an optional attribute is the same as before, or missing as before. */
function isSame(name: string, of = ''): string {
  const [now, before] = ['self', 'oldSelf'].map(object => `${object}.${of}${name}`)
  return `has(${now}) == has(${before}) && (!has(${now}) || ${now} == ${before})`
}

/** Returns CEL for the format, with the name rfc3339 for iso8601, which gives the same times. Stored documents have the default. */
const textFormat = (event: string) =>
  `(has(${event}.time.format) ? (${event}.time.format == 'iso8601' ? 'rfc3339' : ${event}.time.format) : (has(${event}.time.formats) ? '' : 'rfc3339'))`

/** Rounding, and blanks of a type other than string, only decide about events that are dead letters without them. */
const FIXED_FIELD: Rule = {
  rule: [
    'self.type == oldSelf.type && self.optional == oldSelf.optional',
    ...['path', 'scale', 'default'].map(name => isSame(name)),
    `(self.type != 'string' || (has(self.blankAsNull) && self.blankAsNull) == (has(oldSelf.blankAsNull) && oldSelf.blankAsNull))`,
  ].join(' && '),
  message:
    'a field cannot be changed, except rounding and, unless its type is string, blankAsNull; add a field with another name instead',
}

export const TRANSITIONS: Record<string, CelRule[]> = {
  'spec.source': [
    {
      rule: 'self.partitions >= oldSelf.partitions',
      message:
        'cannot be lowered: Kafka cannot remove partitions. To use fewer partitions, create another topic and another pipeline',
      fieldPath: '.partitions',
    },
    {
      rule: 'self.topic == oldSelf.topic',
      message: 'cannot be changed: the stored rows come from the old topic. Create another pipeline for the new topic',
      fieldPath: '.topic',
    },
    {
      rule: 'self.startFrom == oldSelf.startFrom',
      message: 'cannot be changed: it is used only at the first start of a pipeline. Create another pipeline',
      fieldPath: '.startFrom',
    },
  ],
  'spec.event': [
    {
      rule: [
        ...['path', 'formats', 'zone'].map(name => isSame(name, 'time.')),
        'self.time.unit == oldSelf.time.unit',
        `${textFormat('self')} == ${textFormat('oldSelf')}`,
      ].join(' && '),
      message:
        'cannot be changed, except format between rfc3339 and iso8601: every window depends on it. Create another pipeline',
      fieldPath: '.time',
    },
    {
      rule: 'has(self.explode) == has(oldSelf.explode) && (!has(self.explode) || self.explode.path == oldSelf.explode.path)',
      message: 'cannot be changed: every result depends on it. Create another pipeline',
      fieldPath: '.explode',
    },
  ],
  'spec.event.fields[]': named('field', [FIXED_FIELD]),
  'spec.event.explode.fields[]': named('field', [FIXED_FIELD]),
  'spec.aggregations[]': named('aggregation', [
    { rule: sameList('groupBy'), message: `groupBy cannot be changed; ${anotherName}`, fieldPath: '.groupBy' },
    {
      rule: `${sameList('measures', 'x.name')} && self.measures.all(m, oldSelf.measures.exists(o, ${SAME_MEASURE}))`,
      message: `measures cannot be changed; ${anotherName}`,
      fieldPath: '.measures',
    },
  ]),
  spec: [
    {
      rule: '!has(self.deduplication) || !has(oldSelf.deduplication) || self.event.id == oldSelf.event.id',
      message:
        'cannot be changed while deduplication is on: the ids of earlier sales would not match those of later ones, so duplicates would be counted. Create another pipeline',
      fieldPath: '.event.id',
    },
    {
      rule: `self.aggregations.all(a, ${SAME_WINDOW})`,
      message: `the window of an aggregation cannot be changed; ${anotherName}`,
      messageExpression: `self.aggregations.map(a, !(${SAME_WINDOW}), 'aggregation ' + a.name + ': the window of an aggregation cannot be changed; ${anotherName}')[0]`,
      fieldPath: '.aggregations',
    },
    {
      rule: `!has(self.raw) || !has(oldSelf.raw) || self.raw.table != oldSelf.raw.table || ${sameList(rawColumns, 'x.name')}`,
      message: 'the fields are the columns of the raw table; to change them, also set spec.raw.table to a new name',
      fieldPath: '.event.fields',
    },
  ],
}
