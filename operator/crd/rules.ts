/**
 * The checks that span fields, in CEL: the same checks as in pipeline/checks.ts, with messages that leave out the values.
 * A test sends every document of both to a real API server, so that the two cannot disagree.
 * The API server estimates the cost of a quantifier from the bounds of lists and strings in the schema.
 */
import { expressionPattern, MAX_NESTING, MAX_SIGNS } from '#pipeline/expression.ts'
import { MAX_WINDOWS_PER_EVENT } from '#pipeline/limits.ts'
import { PARTIAL } from '#pipeline/names.ts'
import { celMilliseconds } from '#pipeline/units.ts'
import {
  type CelRule,
  ELASTICSEARCH_TRANSPORT,
  INGEST,
  NOT_INDEXED,
  OAUTH,
  POSTGRES,
  SHARED_VARIABLES,
  SOURCE,
} from './admission-rules.ts'
import { AGGREGATION, named, SPEC_OF_AGGREGATIONS } from './aggregation-rules.ts'
import { CLIENT_CERTIFICATE, SASL } from './authentication-rules.ts'
import { BROKERS, HOST, NODES, RESOURCES } from './cluster-rules.ts'
import { VARIABLE } from './pod-rules.ts'

const has = (...names: string[]) => names.map(name => `has(self.${name})`).join(' && ')
const ms = (field: string) => celMilliseconds(`self.${field}`)
const step = `(has(self.slide) ? ${ms('slide')} : ${ms('size')})`

const WINDOW: CelRule[] = [
  ...['size', 'slide', 'offset'].map(name => ({
    rule: `self.type != 'none' || !has(self.${name})`,
    message: 'is not allowed when type is none; remove it',
    fieldPath: `.${name}`,
  })),
  {
    rule: "self.type == 'none' || has(self.size)",
    message: 'is required unless type is none; set it, for example to 1m',
    fieldPath: '.size',
  },
  {
    rule: "self.type != 'tumbling' || !has(self.slide)",
    message: 'is not allowed when type is tumbling; remove it or set type to sliding',
    fieldPath: '.slide',
  },
  {
    rule: "self.type != 'sliding' || has(self.slide)",
    message: 'is required when type is sliding; set it, for example to 10s',
    fieldPath: '.slide',
  },
  {
    rule: `self.type != 'sliding' || !(${has('size', 'slide')}) || ${ms('size')} % ${ms('slide')} == 0`,
    message: 'size is not a multiple of slide; change one of them',
    fieldPath: '.slide',
  },
  {
    rule: `self.type != 'sliding' || !(${has('size', 'slide')}) || ${ms('size')} % ${ms('slide')} != 0 || ${ms('size')} / ${ms('slide')} <= ${MAX_WINDOWS_PER_EVENT}`,
    message: `size is more than ${MAX_WINDOWS_PER_EVENT} times slide; raise slide or lower size`,
    fieldPath: '.slide',
  },
  {
    rule: `self.type == 'none' || !${has('offset')} || !(has(self.slide) || has(self.size)) || ${ms('offset')} < ${step}`,
    message: 'must be less than slide, or less than size if there is no slide',
    fieldPath: '.offset',
  },
]

const NOT_RESERVED: CelRule = {
  rule: `self.name != '${PARTIAL}'`,
  message: `is the name of the column that marks partial windows; choose another name`,
  fieldPath: '.name',
}

const isNumeric = "(self.type == 'number' || self.type == 'decimal')"
const decimals = "(has(self.scale) ? self.scale : (self.type == 'decimal' ? 2 : 0))"

const FIELD: CelRule[] = [
  NOT_RESERVED,
  {
    rule: `!has(self.scale) || ${isNumeric}`,
    message: 'is only allowed for type number or decimal; remove it or change the type',
    fieldPath: '.scale',
  },
  {
    rule: `!has(self.rounding) || ${isNumeric}`,
    message: 'is only allowed for type number or decimal; remove it or change the type',
    fieldPath: '.rounding',
  },
  {
    rule: `!has(self.default) || !${isNumeric} || self.default.matches(r'^-?\\d{1,30}(\\.\\d+)?$') && (!self.default.contains('.') || size(self.default.split('.')[1]) <= ${decimals})`,
    message:
      'must be a number with at most 30 digits before the decimal point; the field scale limits the digits after it (default: 2 for type decimal, 0 for type number)',
    fieldPath: '.default',
  },
  {
    rule: "!has(self.default) || self.type != 'boolean' || self.default in ['true', 'false']",
    message: 'must be "true" or "false"',
    fieldPath: '.default',
  },
  {
    rule: "!has(self.default) || self.type != 'string' || !self.default.contains('\\u0000')",
    message: 'must be valid Unicode without U+0000',
    fieldPath: '.default',
  },
]

const EVENT: CelRule[] = [
  {
    rule: '!has(self.explode) || !self.explode.fields.exists(line, self.fields.exists(f, f.name == line.name))',
    message: 'a field in explode.fields has the same name as a field in event.fields; rename one of them',
    fieldPath: '.explode.fields',
  },
]

const isFormat = "f in ['rfc3339', 'iso8601', 'epoch']"
const parts = (letters: string) => `size(f.split('${letters}'))`

const TIME: CelRule[] = [
  {
    rule: "has(self.path) != (has(self.format) && self.format == 'record-timestamp')",
    message: 'is required unless format is record-timestamp, and not allowed then',
    fieldPath: '.path',
  },
  {
    rule: '!has(self.format) || !has(self.formats)',
    message: 'is not allowed beside format; move its value into formats, or remove one',
    fieldPath: '.formats',
  },
  {
    rule: `!has(self.formats) || self.formats.all(f, ${isFormat} || (${[
      ...['yyyy', 'MM', 'dd'].map(letters => `${parts(letters)} == 2`),
      ...['HH', 'mm', 'ss', 'XXX'].map(letters => `${parts(letters)} <= 2`),
      "!f.matches('S[^S]+S')",
    ].join(' && ')}))`,
    message: 'a pattern must have yyyy, MM and dd once each, and HH, mm, ss, S and XXX at most once',
    fieldPath: '.formats',
  },
  {
    rule: `!has(self.formats) || has(self.zone) || self.formats.all(f, ${isFormat} || f.contains('XXX'))`,
    message: 'a pattern has no XXX, so times have no zone; set zone',
    fieldPath: '.formats',
  },
]

const MEASURE: CelRule[] = [
  NOT_RESERVED,
  {
    rule: "self.op != 'count' || !has(self.scale)",
    message: 'is not allowed when op is count, which has no decimals; remove it',
    fieldPath: '.scale',
  },
  {
    rule: "self.op != 'count' || !has(self.of) || self.of in ['lines', 'events']",
    message: 'must be "lines" or "events" when op is count',
    fieldPath: '.of',
  },
  {
    rule: "self.op != 'count' || !has(self.of) || !has(self.per) || self.of == self.per",
    message: 'contradicts of; remove one of them',
    fieldPath: '.per',
  },
  {
    rule: "self.op == 'count' || has(self.of)",
    message: 'is required unless op is count; set it to a field or an expression such as quantity * price',
    fieldPath: '.of',
  },
  {
    rule: `self.op == 'count' || !has(self.of) || self.of.matches(r'^${expressionPattern()}$')`,
    message: `must be an expression such as quantity * (price - discount): fields, numbers, at most ${MAX_SIGNS} operators + - *, and at most ${MAX_NESTING} levels of parentheses`,
    fieldPath: '.of',
  },
]

const SPEC: CelRule[] = [
  {
    rule: '!has(self.deduplication) || has(self.event.id)',
    message: 'is required by deduplication; set it to the path of the field that identifies a sale',
    fieldPath: '.event.id',
  },
  ...SPEC_OF_AGGREGATIONS,
  ...SHARED_VARIABLES,
  HOST,
]

const nameOf = (p: string) => `(has(${p}.template) ? ${p}.template : ${p}.index)`

const ELASTICSEARCH: CelRule[] = [
  {
    rule: 'self.projections.all(p, self.projections.exists_one(q, q.index == p.index))',
    message: 'two projections have the same index; change one of them',
    fieldPath: '.projections',
  },
  {
    rule: `self.projections.all(p, self.projections.exists_one(q, ${nameOf('q')} == ${nameOf('p')}))`,
    message: 'two projections have the same template; change one of them',
    fieldPath: '.projections',
  },
  {
    rule: 'has(self.usernameSecretRef) == has(self.passwordSecretRef)',
    message: 'set both usernameSecretRef and passwordSecretRef, or neither',
  },
  ...ELASTICSEARCH_TRANSPORT,
]

const PROJECTION: CelRule[] = [
  {
    rule: 'self.fields.all(a, self.fields.exists_one(b, self.fields[b] == self.fields[a]))',
    message: 'two columns are written to the same field of the Elasticsearch document; change one of them',
    fieldPath: '.fields',
  },
]

const LOAD: CelRule[] = [
  {
    rule: '!has(self.speed) || self.speed <= 1.0 || has(self.startAt)',
    message:
      'is required when speed is above 1; set it to a past time. Otherwise event times are in the future and the events become dead letters',
    fieldPath: '.startAt',
  },
]

const BURSTS: CelRule[] = [
  {
    rule: `${celMilliseconds('self.lasting')} <= ${celMilliseconds('self.every')}`,
    message: 'must not be longer than the value of "every"',
    fieldPath: '.lasting',
  },
]

// The API server checks a default against the rules before it applies the defaults within it.
const AUTOSCALE: CelRule[] = [
  {
    rule: '!has(self.min) || !has(self.max) || self.min <= self.max',
    message: 'must not be greater than the value of "max"',
    fieldPath: '.min',
  },
]

export const RULES: Record<string, CelRule[]> = {
  ...NOT_INDEXED,
  spec: SPEC,
  'spec.window': WINDOW,
  'spec.aggregations[].window': WINDOW,
  'spec.event': EVENT,
  'spec.event.time': TIME,
  'spec.event.fields[]': named('field', FIELD),
  'spec.event.explode.fields[]': named('field', FIELD),
  'spec.aggregations[]': AGGREGATION,
  'spec.aggregations[].measures[]': named('measure', MEASURE),
  'spec.source': [...SOURCE, BROKERS],
  'spec.source.sasl': SASL,
  'spec.source.sasl.oauth': OAUTH,
  'spec.source.tls': CLIENT_CERTIFICATE,
  'spec.sinks.postgres.tls': CLIENT_CERTIFICATE,
  'spec.sinks.elasticsearch.tls': CLIENT_CERTIFICATE,
  'spec.sinks.postgres': POSTGRES,
  'spec.sinks.elasticsearch': [...ELASTICSEARCH, NODES],
  'spec.sinks.elasticsearch.projections[]': named('projection to index', PROJECTION, 'index'),
  'spec.ingest': INGEST,
  'spec.ingest.resources': RESOURCES,
  'spec.workers.resources': RESOURCES,
  'spec.load': LOAD,
  'spec.load.bursts': BURSTS,
  'spec.workers.autoscale': AUTOSCALE,
  'spec.pods.env[]': VARIABLE,
}
