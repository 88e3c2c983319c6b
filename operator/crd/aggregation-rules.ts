/**
 * Rules of the spec about its aggregations, in CEL. They read other parts of the spec, so their path is that of the whole list:
 * the message names the aggregation and the field.
 */
import { MAX_SIGNS } from '#pipeline/expression.ts'
import { UNLIMITED } from '#pipeline/lateness.ts'
import type { CelRule } from './admission-rules.ts'

/** Returns the rules with messages that begin with the name of the object. `name`: the field with its name. */
export const named = (kind: string, rules: CelRule[], name = 'name'): CelRule[] =>
  rules.map(rule => ({
    ...rule,
    messageExpression: `'${kind} ' + self.${name} + ${JSON.stringify(`: ${rule.message}`)}`,
  }))

/** Returns CEL that is true if the condition on `f` holds for a field of the event or of its lines. `self` is the spec. */
const someField = (condition: string) =>
  `(self.event.fields.exists(f, ${condition}) || has(self.event.explode) && self.event.explode.fields.exists(f, ${condition}))`

/** Returns CEL for the operands of an expression. Functions whose results the API server cannot bound would cost too much. */
const operands = (text: string) => {
  const bare = `${text}.replace(' ', '').replace('(', '').replace(')', '')`
  return `${bare}.replace('+', ',').replace('-', ',').replace('*', ',').split(',', ${MAX_SIGNS + 1})`
}

/**
 * `valid`: CEL about `name`, a name in groupBy. The message is put together inside of map(): there the API server knows how long
 * the parts can be. It knows no lengths of what filter() and map() return, and assumes that joining them costs too much.
 */
function groupByRule(valid: string, problem: string, remedy: string): CelRule {
  return {
    rule: `self.aggregations.all(a, a.groupBy.all(name, ${valid}))`,
    message: `a name in groupBy ${problem}; ${remedy}`,
    messageExpression: `self.aggregations.map(a, !a.groupBy.all(name, ${valid}), 'aggregation ' + a.name + ': a name in groupBy (' + a.groupBy.join(', ') + ') ${problem}; ${remedy}')[0]`,
    fieldPath: '.aggregations',
  }
}

/**
 * `excluded`: CEL about the measure `m` that the rule leaves out. `valid`: CEL about `name`, an operand. The message does not name
 * the measure: to look for it again, the API server would estimate 18 times what it allows.
 */
function operandRule(excluded: string, valid: string, problem: string, condition = ''): CelRule {
  const isValid = `${excluded} || ${operands('m.of')}.all(name, ${valid})`
  return {
    rule: `${condition}self.aggregations.all(a, a.measures.all(m, ${isValid}))`,
    message: `a measure ${problem}`,
    messageExpression: `self.aggregations.map(a, !a.measures.all(m, ${isValid}), 'aggregation ' + a.name + ': a measure ${problem}')[0]`,
    fieldPath: '.aggregations',
  }
}

const isCount = "m.op == 'count' || !has(m.of)"
const latenessOf = (a: string) =>
  `(has(${a}.allowedLateness) ? ${a}.allowedLateness : (has(self.allowedLateness) ? self.allowedLateness : ''))`
const isRemoved = `!has(a.retention) || ${latenessOf('a')} != '${UNLIMITED}'`
const RETENTION = `retention is not allowed when allowedLateness is ${UNLIMITED}: no row becomes final, so none would be removed; remove it, or set a duration as allowedLateness`

export const SPEC_OF_AGGREGATIONS: CelRule[] = [
  {
    rule: '!has(self.raw) || !self.aggregations.exists(a, a.name == self.raw.table)',
    message: 'is also the name of an aggregation; rename one of them',
    messageExpression: "self.raw.table + ' is also the name of an aggregation; rename one of them'",
    fieldPath: '.raw.table',
  },
  {
    rule: `self.aggregations.all(a, ${isRemoved})`,
    message: RETENTION,
    messageExpression: `self.aggregations.map(a, !(${isRemoved}), 'aggregation ' + a.name + ': ${RETENTION}')[0]`,
    fieldPath: '.aggregations',
  },
  groupByRule(someField('f.name == name'), 'is not a field of the event', 'correct the name or add the field'),
  groupByRule(
    `!${someField('f.name == name && f.optional && !has(f.default)')}`,
    'is optional and has no default',
    'set a default for that field',
  ),
  // Numbers sort before letters, so they are skipped.
  operandRule(
    isCount,
    `name < 'A' || ${someField("f.name == name && (f.type == 'number' || f.type == 'decimal') && (!f.optional || has(f.default))")}`,
    'uses a field that does not exist, is not of type number or decimal, or is optional and has no default; correct the field name or type, or set a default',
  ),
  operandRule(
    `${isCount} || !has(m.per) || m.per == 'lines'`,
    '!self.event.explode.fields.exists(f, f.name == name)',
    'with per: events uses a field of a line; set per to lines, or use only fields of event.fields',
    '!has(self.event.explode) || ',
  ),
  {
    rule: '!has(self.sinks.elasticsearch) || self.sinks.elasticsearch.projections.all(p, self.aggregations.exists(a, a.name == p.aggregation))',
    message: 'a projection names an aggregation that does not exist; use a name from spec.aggregations',
    messageExpression:
      "self.sinks.elasticsearch.projections.map(p, !self.aggregations.exists(a, a.name == p.aggregation), 'the projection to index ' + p.index + ' names the aggregation ' + p.aggregation + ', which does not exist; use a name from spec.aggregations')[0]",
    fieldPath: '.sinks.elasticsearch.projections',
  },
  {
    rule: '!has(self.watermark.sources) || self.event.fields.exists(f, f.name == self.watermark.sources.field)',
    message: 'is not the name of a field in event.fields; correct it or add the field',
    messageExpression:
      "self.watermark.sources.field + ' is not the name of a field in event.fields; correct it or add the field'",
    fieldPath: '.watermark.sources.field',
  },
]

const SAME_AS_GROUP = 'has the same name as a groupBy field; rename one of them'
const isTwice =
  "m.op == 'average' && self.measures.exists(other, other.name == m.name + '_sum' || other.name == m.name + '_count')"

export const AGGREGATION: CelRule[] = [
  {
    rule: '!self.measures.exists(m, m.name in self.groupBy)',
    message: `a measure ${SAME_AS_GROUP}`,
    messageExpression: `self.measures.map(m, m.name in self.groupBy, 'aggregation ' + self.name + ': measure ' + m.name + ' ${SAME_AS_GROUP}')[0]`,
  },
  {
    rule: `!self.measures.exists(m, ${isTwice})`,
    message:
      'two columns have the same name; rename a measure. A measure x with op average also creates the columns x_sum and x_count',
    messageExpression: `self.measures.map(m, ${isTwice}, 'aggregation ' + self.name + ': measure ' + m.name + ' has op average, so it also creates columns that end with _sum and _count, and another measure has one of these names; rename one of them')[0]`,
    fieldPath: '.measures',
  },
]
