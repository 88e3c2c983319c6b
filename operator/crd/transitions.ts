/**
 * Changes of a live pipeline that the API server refuses, in CEL over `oldSelf`: window, group-by, measures and the mapping
 * of fields are an aggregation's identity (contract, section 2). A new name creates a new aggregation; the old rows stay.
 */
import type { Rule } from '#pipeline/rules.ts'

const anotherName =
  'give the changed aggregation a new name: it starts at the current position of the stream, and the rows under the old name stay'

/** Compares the order as well, which table columns and document ids depend on. CEL ignores it in lists merged by key. */
const sameList = (list: string, of = 'x') => `self.${list}.map(x, ${of}) == oldSelf.${list}.map(x, ${of})`

const windowOf = (aggregation: string, spec: string) =>
  `(has(${aggregation}.window) ? dyn(${aggregation}.window) : dyn(${spec}.window))`

const rawColumns = 'event.fields'

export const TRANSITIONS: Record<string, (Rule & { fieldPath?: string })[]> = {
  'spec.source': [
    {
      rule: 'self.partitions >= oldSelf.partitions',
      message:
        'cannot be lowered: Kafka cannot remove partitions. For fewer, create another topic and another pipeline',
      fieldPath: '.partitions',
    },
    {
      rule: 'self.topic == oldSelf.topic',
      message: 'cannot change: the stored rows come from this topic. Create another pipeline',
      fieldPath: '.topic',
    },
    {
      rule: 'self.startFrom == oldSelf.startFrom',
      message: 'cannot change: it only applies when a pipeline first starts. Create another pipeline',
      fieldPath: '.startFrom',
    },
  ],
  'spec.event': [
    {
      rule: 'self.time == oldSelf.time',
      message: 'cannot change: every window depends on it. Create another pipeline',
      fieldPath: '.time',
    },
    {
      rule: 'has(self.explode) == has(oldSelf.explode) && (!has(self.explode) || self.explode.path == oldSelf.explode.path)',
      message: 'cannot change: every result depends on it. Create another pipeline',
      fieldPath: '.explode',
    },
  ],
  'spec.event.fields[]': [{ rule: 'self == oldSelf', message: 'cannot change: add a field with another name' }],
  'spec.event.explode.fields[]': [{ rule: 'self == oldSelf', message: 'cannot change: add a field with another name' }],
  'spec.aggregations[]': [
    { rule: sameList('groupBy'), message: `cannot change: ${anotherName}`, fieldPath: '.groupBy' },
    {
      rule: `${sameList('measures', 'x.name')} && self.measures == oldSelf.measures`,
      message: `cannot change: ${anotherName}`,
      fieldPath: '.measures',
    },
  ],
  spec: [
    {
      rule: `self.aggregations.all(a, !oldSelf.aggregations.exists(o, o.name == a.name && ${windowOf('o', 'oldSelf')} != ${windowOf('a', 'self')}))`,
      message: `the window of an aggregation cannot change: ${anotherName}`,
      fieldPath: '.aggregations',
    },
    {
      rule: `!has(self.raw) || !has(oldSelf.raw) || self.raw.table != oldSelf.raw.table || ${sameList(rawColumns, 'x.name')}`,
      message: 'the fields are the columns of the raw table: to change them, give spec.raw.table a new name',
      fieldPath: '.event.fields',
    },
  ],
}
