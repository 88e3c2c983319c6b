/**
 * What a live pipeline may not change, in CEL over `oldSelf`: window, group-by, measures and the mapping of fields are
 * an aggregation's identity (contract, section 2). A new name makes a new aggregation; the old rows stay where they are.
 */
import type { Rule } from '#pipeline/rules.ts'

const anotherName =
  'give the changed aggregation a new name: it starts where the stream now is, and the rows under the old name stay'

/** Order matters too, in table columns and document ids; lists that are merged by key compare without it. */
const sameList = (list: string, of = 'x') => `self.${list}.map(x, ${of}) == oldSelf.${list}.map(x, ${of})`

const windowOf = (aggregation: string, spec: string) =>
  `(has(${aggregation}.window) ? dyn(${aggregation}.window) : dyn(${spec}.window))`

const rawColumns = 'event.fields'

export const TRANSITIONS: Record<string, (Rule & { fieldPath?: string })[]> = {
  'spec.source': [
    {
      rule: 'self.partitions >= oldSelf.partitions',
      message: 'cannot be lowered: Kafka cannot take partitions away. For fewer, make a new topic and a new pipeline',
      fieldPath: '.partitions',
    },
    {
      rule: 'self.topic == oldSelf.topic',
      message: 'cannot change while the pipeline lives: its rows are those of this topic. Make another pipeline',
      fieldPath: '.topic',
    },
    {
      rule: 'self.startFrom == oldSelf.startFrom',
      message: 'cannot change: it was resolved when the pipeline first ran. Make another pipeline',
      fieldPath: '.startFrom',
    },
  ],
  'spec.event': [
    {
      rule: 'self.time == oldSelf.time',
      message: 'cannot change: every window rests on it. Make another pipeline',
      fieldPath: '.time',
    },
    {
      rule: 'has(self.explode) == has(oldSelf.explode) && (!has(self.explode) || self.explode.path == oldSelf.explode.path)',
      message: 'cannot change: every sum rests on it. Make another pipeline',
      fieldPath: '.explode',
    },
  ],
  'spec.event.fields[]': [{ rule: 'self == oldSelf', message: 'cannot change: add a field under another name' }],
  'spec.event.explode.fields[]': [
    { rule: 'self == oldSelf', message: 'cannot change: add a field under another name' },
  ],
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
      message: 'the fields are the columns of the raw table: with other fields give spec.raw.table a new name',
      fieldPath: '.event.fields',
    },
  ],
}
