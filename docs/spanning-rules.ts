/**
 * Describes on the reference page the checks of pipeline/checks.ts and operator/crd/rules.ts that involve several fields, and the
 * changes that operator/crd/transitions.ts refuses. A test fails if one of their fields is missing here.
 */

/** Paths begin below `spec`. The page shows the rule in the section of the first path. */
export type SpanningRule = { fields: string[]; rule: string }

const WINDOW_RULES: SpanningRule[] = [
  { fields: ['window.size'], rule: 'required for type `tumbling` and `sliding`; not allowed for type `none`.' },
  {
    fields: ['window.slide'],
    rule: 'required for type `sliding`; not allowed for the other types. `size` is a multiple of `slide`, and at most 64 × `slide`.',
  },
  {
    fields: ['window.offset'],
    rule: 'less than `slide`, or less than `size` if there is no `slide`; not allowed for type `none`.',
  },
]

export const CROSS_FIELD_RULES: SpanningRule[] = [
  { fields: ['event.id'], rule: 'required if `deduplication` is set.' },
  {
    fields: [
      'event.fields[].scale',
      'event.explode.fields[].scale',
      'event.fields[].rounding',
      'event.explode.fields[].rounding',
    ],
    rule: 'only for type `number` and `decimal`.',
  },
  {
    fields: ['event.fields[].name', 'event.explode.fields[].name', 'aggregations[].measures[].name'],
    rule: 'not `partial`, which is the column that marks partial windows. Fields and measures that a release up to 0.3.0 accepted keep the name.',
  },
  {
    fields: ['event.fields[].default', 'event.explode.fields[].default'],
    rule: 'a value of the type: for `number` and `decimal` at most 30 digits before the decimal point and at most `scale` after it; for `boolean` `"true"` or `"false"`; for `string` valid Unicode without U+0000.',
  },
  {
    fields: ['event.time.path'],
    rule: 'required unless `event.time.format` is `record-timestamp`, and not allowed then.',
  },
  {
    fields: ['event.time.formats'],
    rule: 'not beside `event.time.format`. A pattern has `yyyy`, `MM` and `dd` once each, and `HH`, `mm`, `ss`, `S` and `XXX` at most once. A pattern without `XXX` requires `event.time.zone`.',
  },
  {
    fields: ['event.time.path', 'event.fields[].path', 'event.explode.path', 'event.explode.fields[].path', 'event.id'],
    rule: 'no array index, such as `line_items.0.title` or `line_items[0].title`. Set `event.explode` to read the elements of an array. A part of one to three digits after the first part counts as an index. Documents that are already stored keep running.',
  },
  {
    fields: ['event.explode.fields'],
    rule: 'no field of a line has the same name as a field of the event.',
  },
  { fields: ['pods.env[].value', 'pods.env[].valueSecretRef'], rule: 'exactly one of them.' },
  { fields: ['watermark.sources.field'], rule: 'the name of a field in `event.fields`.' },
  ...WINDOW_RULES,
  {
    fields: WINDOW_RULES.map(({ fields }) => `aggregations[].${fields[0]}`),
    rule: 'the same rules as for [`window`](#window).',
  },
  {
    fields: ['aggregations'],
    rule: '`groupBy` and `measures[].of` must use names of fields in `event.fields` or `event.explode.fields`. If such a field is optional, it must have a default. Measures use fields of type `number` and `decimal` only.',
  },
  {
    fields: ['aggregations[].retention', 'aggregations'],
    rule: 'not for an aggregation whose `allowedLateness` is `unlimited`: its rows never become final, so none would be removed.',
  },
  {
    fields: ['aggregations[]'],
    rule: 'no measure has the same name as a field in `groupBy`.',
  },
  {
    fields: ['aggregations[].measures'],
    rule: 'no measure may have the name of a column that another adds. An average `x` adds `x_sum` and `x_count`. A sum `x` that is rounded when it is shown adds `x_sum`.',
  },
  {
    fields: ['aggregations[].measures[].of'],
    rule: 'required unless `op` is `count`. For `count` it is `lines` or `events`; otherwise a field or an [expression](#expressions).',
  },
  {
    fields: ['aggregations[].measures[].per'],
    rule: 'required for a new measure that uses no field of a line while `event.explode` is set, unless `op` is `count`. `events` is not allowed if the measure uses a field of a line. For `count`, it must not contradict `of`.',
  },
  { fields: ['aggregations[].measures[].scale'], rule: 'not allowed if `op` is `count`.' },
  { fields: ['raw.table'], rule: 'not the name of an aggregation.' },
  {
    fields: ['sinks.elasticsearch'],
    rule: '`usernameSecretRef` and `passwordSecretRef` are set together or not at all.',
  },
  { fields: ['source.sasl'], rule: 'requires `tls`, or `insecure: true`.' },
  {
    fields: [
      'source.sasl.usernameSecretRef',
      'source.sasl.passwordSecretRef',
      'source.sasl.oauth',
      'source.sasl.serviceAccountToken',
    ],
    rule: 'the mechanism `OAUTHBEARER` requires exactly one of `oauth` and `serviceAccountToken`, and no others. The other mechanisms require `usernameSecretRef` and `passwordSecretRef`, and no others.',
  },
  {
    fields: ['source.sasl.oauth.tokenEndpoint'],
    rule: 'begins with `https://`, unless it is on this machine (`localhost`, `127.x.x.x`) or `oauth.insecure: true` is set.',
  },
  {
    fields: [
      'source.tls.clientCertSecretRef',
      'sinks.postgres.tls.clientCertSecretRef',
      'sinks.elasticsearch.tls.clientCertSecretRef',
    ],
    rule: 'not allowed if `enabled` of the same block is `false`.',
  },
  {
    fields: ['sinks.postgres.passwordSecretRef'],
    rule: 'requires `tls`, or `insecure: true`, or a `host` on this machine: `localhost`, `127.x.x.x`, `::1`, or the directory of a Unix socket.',
  },
  {
    fields: ['sinks.postgres', 'sinks.elasticsearch', 'source.sasl'],
    rule: 'no two different keys of Secrets have the same environment variable `SECRET_<NAME>_<KEY>`, such as key `b-c` of Secret `a` and key `c` of Secret `a-b`.',
  },
  {
    fields: ['sinks.elasticsearch.nodes'],
    rule: 'with `tls`, every address begins with `https://`. With a password, too, unless the address is on this machine (`localhost`, `127.x.x.x`) or `insecure: true` is set.',
  },
  {
    fields: ['sinks.elasticsearch.projections'],
    rule: '`aggregation` names one of `aggregations`. Every projection has its own `index` and its own `template`.',
  },
  {
    fields: ['sinks.elasticsearch.projections[].fields'],
    rule: 'no two columns have the same document field.',
  },
  { fields: ['ingest.tokensSecretRef', 'ingest.jwt'], rule: 'requires `tls`, or `insecure: true`.' },
  { fields: ['load.startAt'], rule: 'required if `speed` is above 1: otherwise event times would overtake the clock.' },
  { fields: ['load.bursts.lasting'], rule: 'at most `every`.' },
  { fields: ['workers.autoscale.min'], rule: 'at most `max`.' },
  { fields: ['source.bootstrapServers'], rule: 'required on Kubernetes, where `localhost` would be the pod.' },
  {
    fields: ['sinks.postgres.host', 'sinks.elasticsearch.nodes'],
    rule: 'required on Kubernetes, where `localhost` would be the pod.',
  },
  {
    fields: ['sinks.postgres.usernameSecretRef'],
    rule: 'requires `passwordSecretRef` or `tls.clientCertSecretRef`.',
  },
  ...['workers', 'ingest'].map(block => ({
    fields: [`${block}.resources.limits.cpu`, `${block}.resources.limits.memory`],
    rule: 'at least the request.',
  })),
]

export const FIXED_FIELDS: SpanningRule[] = [
  { fields: ['source.topic', 'source.startFrom'], rule: 'fixed. Create another pipeline instead.' },
  {
    fields: ['source.partitions'],
    rule: 'can be raised, never lowered, because Kafka cannot remove partitions. For fewer partitions create another topic and another pipeline.',
  },
  {
    fields: ['sinks.postgres.host', 'sinks.postgres.port', 'sinks.postgres.database', 'sinks.postgres.schema'],
    rule: 'fixed once a result is stored there. The runbook says how to [move the results](operations.md#move-the-results).',
  },
  {
    fields: ['event.id'],
    rule: 'fixed while `deduplication` is set: ids of earlier sales would not match those of later ones. Create another pipeline instead.',
  },
  {
    fields: ['event.time', 'event.explode'],
    rule: 'fixed, because every result depends on them. `event.time.format` can be changed between `rfc3339` and `iso8601`, and `event.time.notBefore` to any time. `event.explode.fields` can be extended. For other changes create another pipeline.',
  },
  {
    fields: ['event.fields[]', 'event.explode.fields[]'],
    rule: 'an existing field is fixed, except `rounding` and, unless its type is `string`, `blankAsNull`. Add a field with another name instead.',
  },
  {
    fields: ['aggregations', 'aggregations[].groupBy', 'aggregations[].measures'],
    rule: 'the window, `groupBy` and `measures` of an existing aggregation are fixed. Give the changed aggregation another name. The new aggregation starts at the current position of the stream, and the rows of the old one stay.',
  },
  {
    fields: ['event.fields'],
    rule: 'if `raw` is set, these are the columns of the raw table. If you add, remove or reorder fields, you must give `raw.table` another name.',
  },
]
