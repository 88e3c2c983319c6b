/**
 * Changes of a live pipeline that the API server refuses, in CEL over `oldSelf`: window, group-by, measures and the mapping
 * of fields are an aggregation's identity (contract, section 2). A new name creates a new aggregation; the old rows stay.
 */
import type { Rule } from '#pipeline/rules.ts'

const anotherName =
  'give the changed aggregation a new name. The new one starts at the current position of the stream; the rows of the old one are kept'

/** Compares the order as well, which table columns and document ids depend on. CEL ignores it in lists merged by key. */
const sameList = (list: string, of = 'x') => `self.${list}.map(x, ${of}) == oldSelf.${list}.map(x, ${of})`

const windowOf = (aggregation: string, spec: string) =>
  `(has(${aggregation}.window) ? dyn(${aggregation}.window) : dyn(${spec}.window))`

const rawColumns = 'event.fields'

const FIXED_FIELD: Rule = {
  rule: 'self == oldSelf',
  message: 'a field cannot be changed; add a field with another name instead',
}

export const TRANSITIONS: Record<string, (Rule & { fieldPath?: string })[]> = {
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
      rule: 'self.time == oldSelf.time',
      message: 'cannot be changed: every window depends on it. Create another pipeline',
      fieldPath: '.time',
    },
    {
      rule: 'has(self.explode) == has(oldSelf.explode) && (!has(self.explode) || self.explode.path == oldSelf.explode.path)',
      message: 'cannot be changed: every result depends on it. Create another pipeline',
      fieldPath: '.explode',
    },
  ],
  'spec.event.fields[]': [FIXED_FIELD],
  'spec.event.explode.fields[]': [FIXED_FIELD],
  'spec.aggregations[]': [
    { rule: sameList('groupBy'), message: `cannot be changed; ${anotherName}`, fieldPath: '.groupBy' },
    {
      rule: `${sameList('measures', 'x.name')} && self.measures == oldSelf.measures`,
      message: `cannot be changed; ${anotherName}`,
      fieldPath: '.measures',
    },
  ],
  spec: [
    {
      rule: `self.aggregations.all(a, !oldSelf.aggregations.exists(o, o.name == a.name && ${windowOf('o', 'oldSelf')} != ${windowOf('a', 'self')}))`,
      message: `the window of an aggregation cannot be changed; ${anotherName}`,
      fieldPath: '.aggregations',
    },
    {
      rule: `!has(self.raw) || !has(oldSelf.raw) || self.raw.table != oldSelf.raw.table || ${sameList(rawColumns, 'x.name')}`,
      message: 'the fields are the columns of the raw table; to change them, also set spec.raw.table to a new name',
      fieldPath: '.event.fields',
    },
  ],
}
