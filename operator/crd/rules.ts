/**
 * What spans fields, in CEL: the same as pipeline/checks.ts, which zod's side uses, with the same sentences. A test
 * tries every document of both against a real API server, so that neither can say what the other does not.
 * Quantifiers stay within the bounds of lists and strings in the schema: the API server estimates a rule's cost from them.
 */
import { expressionPattern, MAX_NESTING, MAX_SIGNS } from '#pipeline/expression.ts'
import { MAX_WINDOWS_PER_EVENT } from '#pipeline/limits.ts'
import type { Rule } from '#pipeline/rules.ts'

/** `reason` and `fieldPath` as in `x-kubernetes-validations`; `messageExpression` names what is at fault. */
type CelRule = Rule & { fieldPath?: string; messageExpression?: string }

const has = (...names: string[]) => names.map(name => `has(self.${name})`).join(' && ')
const ms = (field: string) => `duration(self.${field}).getMilliseconds()`
const step = `(has(self.slide) ? ${ms('slide')} : ${ms('size')})`

const WINDOW: CelRule[] = [
  ...['size', 'slide', 'offset'].map(name => ({
    rule: `self.type != 'none' || !has(self.${name})`,
    message: 'must be left out when type is none',
    fieldPath: `.${name}`,
  })),
  { rule: "self.type == 'none' || has(self.size)", message: 'is needed by a window, such as 1m', fieldPath: '.size' },
  {
    rule: "self.type != 'tumbling' || !has(self.slide)",
    message: 'belongs to type sliding; remove it or change the type',
    fieldPath: '.slide',
  },
  {
    rule: "self.type != 'sliding' || has(self.slide)",
    message: 'is needed by a sliding window, such as 10s',
    fieldPath: '.slide',
  },
  {
    rule: `self.type != 'sliding' || !(${has('size', 'slide')}) || ${ms('size')} % ${ms('slide')} == 0`,
    message: 'must divide size',
    fieldPath: '.slide',
  },
  {
    rule: `self.type != 'sliding' || !(${has('size', 'slide')}) || ${ms('size')} % ${ms('slide')} != 0 || ${ms('size')} / ${ms('slide')} <= ${MAX_WINDOWS_PER_EVENT}`,
    message: `may go into size at most ${MAX_WINDOWS_PER_EVENT} times`,
    fieldPath: '.slide',
  },
  {
    rule: `self.type == 'none' || !${has('offset')} || !(has(self.slide) || has(self.size)) || ${ms('offset')} < ${step}`,
    message: 'must be less than slide, or size where there is no slide',
    fieldPath: '.offset',
  },
]

const isNumeric = "(self.type == 'number' || self.type == 'decimal')"
const decimals = "(has(self.scale) ? self.scale : (self.type == 'decimal' ? 2 : 0))"

const FIELD: CelRule[] = [
  { rule: `!has(self.scale) || ${isNumeric}`, message: 'belongs to type number or decimal', fieldPath: '.scale' },
  {
    rule: `!has(self.default) || !${isNumeric} || self.default.matches(r'^-?\\d{1,30}(\\.\\d+)?$') && (!self.default.contains('.') || size(self.default.split('.')[1]) <= ${decimals})`,
    message: 'must be a number with at most as many decimals as scale says (2 for decimal, 0 for number)',
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
    message: 'a field of a line has the name of a field of the event; rename one',
    fieldPath: '.explode.fields',
  },
]

const MEASURE: CelRule[] = [
  {
    rule: "self.op != 'count' || !has(self.scale)",
    message: 'a count has no decimals; remove it',
    fieldPath: '.scale',
  },
  {
    rule: "self.op != 'count' || !has(self.of) || self.of in ['lines', 'events']",
    message: 'must be lines or events',
    fieldPath: '.of',
  },
  {
    rule: "self.op == 'count' || has(self.of)",
    message: 'is needed: a field or an expression such as quantity * price',
    fieldPath: '.of',
  },
  {
    rule: `self.op == 'count' || !has(self.of) || self.of.matches(r'^${expressionPattern()}$')`,
    message: `must be an expression such as quantity * (price - discount): fields, numbers, + - * at most ${MAX_SIGNS} times, and at most ${MAX_NESTING} parentheses within each other`,
    fieldPath: '.of',
  },
]

const AGGREGATION: CelRule[] = [
  {
    rule: '!self.measures.exists(m, m.name in self.groupBy)',
    message: 'has a measure with the name of a group-by field; rename one',
  },
  {
    rule: "!self.measures.exists(m, m.op == 'average' && self.measures.exists(other, other.name == m.name + '_sum' || other.name == m.name + '_count'))",
    message: 'has a measure with the name of a column that an average adds (x_sum, x_count); rename one',
    fieldPath: '.measures',
  },
]

/** A field of the event or of its lines for which the condition on `f` holds; `self` is the spec. */
const aField = (condition: string) =>
  `(self.event.fields.exists(f, ${condition}) || has(self.event.explode) && self.event.explode.fields.exists(f, ${condition}))`
const groupBy = (condition: string, not = '') =>
  `self.aggregations.all(a, a.groupBy.all(name, ${not}${aField(condition)}))`

/** What stands between the signs; functions whose results the API server cannot bound would cost too much. */
const operands = (text: string) => {
  const bare = `${text}.replace(' ', '').replace('(', '').replace(')', '')`
  return `${bare}.replace('+', ',').replace('-', ',').replace('*', ',').split(',', ${MAX_SIGNS + 1})`
}

/** Numbers sort before letters and are no names. */
const measured = (condition: string) =>
  `self.aggregations.all(a, a.measures.all(m, m.op == 'count' || !has(m.of) || ${operands('m.of')}.all(name, name < 'A' || ${aField(condition)})))`

const SPEC: CelRule[] = [
  {
    rule: '!has(self.deduplication) || has(self.event.id)',
    message: 'is needed by deduplication: name the field that identifies a sale',
    fieldPath: '.event.id',
  },
  {
    rule: '!has(self.raw) || !self.aggregations.exists(a, a.name == self.raw.table)',
    message: 'an aggregation has the name of the raw table; choose another',
    fieldPath: '.raw.table',
  },
  {
    rule: groupBy('f.name == name'),
    message: 'groupBy names something that is not a field of the event',
    fieldPath: '.aggregations',
  },
  {
    rule: groupBy('f.name == name && f.optional && !has(f.default)', '!'),
    message: 'groupBy names a field that is optional; give it a default to group by it',
    fieldPath: '.aggregations',
  },
  {
    rule: measured("f.name == name && (f.type == 'number' || f.type == 'decimal') && (!f.optional || has(f.default))"),
    message:
      'a measure is of something that is not a number or decimal field of the event; an optional one needs a default',
    fieldPath: '.aggregations',
  },
  {
    rule: '!has(self.sinks.elasticsearch) || self.sinks.elasticsearch.projections.all(p, self.aggregations.exists(a, a.name == p.aggregation))',
    message: 'a projection is of something that is not an aggregation',
    fieldPath: '.sinks.elasticsearch.projections',
  },
]

const nameOf = (p: string) => `(has(${p}.template) ? ${p}.template : ${p}.index)`

const ELASTICSEARCH: CelRule[] = [
  {
    rule: 'self.projections.all(p, self.projections.exists_one(q, q.index == p.index))',
    message: 'two projections have the same index',
    fieldPath: '.projections',
  },
  {
    rule: `self.projections.all(p, self.projections.exists_one(q, ${nameOf('q')} == ${nameOf('p')}))`,
    message: 'two projections have the same template',
    fieldPath: '.projections',
  },
  {
    rule: 'has(self.usernameSecretRef) == has(self.passwordSecretRef)',
    message: 'name both usernameSecretRef and passwordSecretRef, or neither',
  },
]

const PROJECTION: CelRule[] = [
  {
    rule: 'self.fields.all(a, self.fields.exists_one(b, self.fields[b] == self.fields[a]))',
    message: 'two columns have the same document field',
    fieldPath: '.fields',
  },
]

const LOAD: CelRule[] = [
  {
    rule: '!has(self.speed) || self.speed <= 1.0 || has(self.startAt)',
    message: 'is needed with speed above 1: otherwise events lie in the future, where they are dead',
    fieldPath: '.startAt',
  },
]

const BURSTS: CelRule[] = [
  {
    rule: 'duration(self.lasting) <= duration(self.every)',
    message: 'must not exceed every',
    fieldPath: '.lasting',
  },
]

// A default is tried against the rules before the defaults within it are there.
const AUTOSCALE: CelRule[] = [
  {
    rule: '!has(self.min) || !has(self.max) || self.min <= self.max',
    message: 'must not exceed max',
    fieldPath: '.min',
  },
]

export const RULES: Record<string, CelRule[]> = {
  spec: SPEC,
  'spec.window': WINDOW,
  'spec.aggregations[].window': WINDOW,
  'spec.event': EVENT,
  'spec.event.fields[]': FIELD,
  'spec.event.explode.fields[]': FIELD,
  'spec.aggregations[]': AGGREGATION,
  'spec.aggregations[].measures[]': MEASURE,
  'spec.sinks.elasticsearch': ELASTICSEARCH,
  'spec.sinks.elasticsearch.projections[]': PROJECTION,
  'spec.load': LOAD,
  'spec.load.bursts': BURSTS,
  'spec.workers.autoscale': AUTOSCALE,
}
