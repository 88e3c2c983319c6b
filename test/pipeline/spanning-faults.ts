/** What no single field shows: each fault, what is told of it, and the change that heals it. By paths of the document. */
type Changes = Record<string, unknown>

const PROJECTIONS = 'spec.sinks.elasticsearch.projections'
const secret = { name: 'store', key: 'password' }

export const SPANNING_FAULTS: [fault: Changes, told: RegExp, healed: Changes][] = [
  [
    { 'spec.window': { type: 'none', size: '1m' } },
    /^spec\.window\.size: .*left out/,
    { 'spec.window.size': undefined },
  ],
  [{ 'spec.window': { type: 'tumbling' } }, /window\.size: is needed/, { 'spec.window.size': '1m' }],
  [
    { 'spec.window': { type: 'tumbling', size: '1m', slide: '10s' } },
    /window\.slide: belongs to type sliding/,
    { 'spec.window.type': 'sliding' },
  ],
  [{ 'spec.window': { type: 'sliding', size: '1m' } }, /slide: is needed/, { 'spec.window.slide': '20s' }],
  [{ 'spec.window': { type: 'sliding', size: '1m', slide: '7s' } }, /must divide size/, { 'spec.window.slide': '6s' }],
  [{ 'spec.window': { type: 'sliding', size: '65s', slide: '1s' } }, /at most 64 times/, { 'spec.window.size': '64s' }],
  [{ 'spec.window': { size: '1m', offset: '1m' } }, /offset: must be less/, { 'spec.window.offset': '59s' }],
  [
    { 'spec.aggregations[0].window': { type: 'tumbling' } },
    /aggregations\[0\]\.window\.size/,
    { 'spec.aggregations[0].window.size': '5s' },
  ],
  [{ 'spec.event.fields[1].name': 'store' }, /"store" is there twice/, { 'spec.event.fields[1].name': 'amount' }],
  [
    { 'spec.event.explode': { path: 'lines', fields: [{ name: 'store' }] } },
    /explode\.fields\[0\]\.name: "store" is already a field of the event/,
    { 'spec.event.explode.fields[0].name': 'product' },
  ],
  [{ 'spec.deduplication': {} }, /event\.id: is needed by deduplication/, { 'spec.event.id': 'id' }],
  [{ 'spec.event.fields[0].scale': 2 }, /belongs to type number/, { 'spec.event.fields[0].type': 'decimal' }],
  [{ 'spec.event.fields[1].default': '0.001' }, /at most 2 decimals/, { 'spec.event.fields[1].scale': 3 }],
  [
    { 'spec.event.fields[0]': { name: 'store', type: 'boolean', default: 'yes' } },
    /"true" or "false"/,
    { 'spec.event.fields[0].default': 'true' },
  ],
  [{ 'spec.event.fields[0].default': 'a\0' }, /U\+0000/, { 'spec.event.fields[0].default': 'a' }],
  [{ 'spec.raw': { table: 'by_store' } }, /is also the raw table/, { 'spec.raw.table': 'sales_raw' }],
  [
    { 'spec.aggregations[0].groupBy': ['shop'] },
    /"shop" is not a field.*there are: store, amount/,
    { 'spec.aggregations[0].groupBy': ['store'] },
  ],
  [
    { 'spec.aggregations[0].groupBy': ['note'] },
    /"note" is optional; give it a default/,
    { 'spec.event.fields[3].default': '-' },
  ],
  [
    { 'spec.aggregations[0].groupBy': ['store', 'store'] },
    /"store" is there twice/,
    { 'spec.aggregations[0].groupBy': ['store'] },
  ],
  [
    { 'spec.aggregations[0].measures[0].name': 'store' },
    /"store" is also a measure/,
    { 'spec.aggregations[0].measures[0].name': 'n' },
  ],
  [
    { 'spec.aggregations[0].measures[0].scale': 1 },
    /a count has no decimals/,
    { 'spec.aggregations[0].measures[0].scale': undefined },
  ],
  [
    { 'spec.aggregations[0].measures[0].of': 'amount' },
    /must be lines or events/,
    { 'spec.aggregations[0].measures[0].of': 'events' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': undefined },
    /is needed by sum/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'amount *' },
    /measures\[1\]\.of: ends where/,
    { 'spec.aggregations[0].measures[1].of': 'amount * quantity' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'price' },
    /"price" is not a field/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'store' },
    /"store" is a string; only number and decimal/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    {
      'spec.aggregations[0].measures': [
        { name: 'x', op: 'average', of: 'amount' },
        { name: 'x_sum', op: 'sum', of: 'amount' },
      ],
    },
    /"x_sum" is there twice/,
    { 'spec.aggregations[0].measures[1].name': 'y' },
  ],
  [
    { [PROJECTIONS]: [{ aggregation: 'by_shop', index: 'a' }] },
    /"by_shop" is not an aggregation; there are: by_store/,
    { [`${PROJECTIONS}[0].aggregation`]: 'by_store' },
  ],
  [
    { [PROJECTIONS]: [{ aggregation: 'by_store', index: 'a', fields: { orders: 'x', revenue: 'x' } }] },
    /"x" is there twice/,
    { [`${PROJECTIONS}[0].fields.orders`]: 'y' },
  ],
  [
    {
      'spec.sinks.elasticsearch': {
        projections: [{ aggregation: 'by_store', index: 'a' }],
        passwordSecretRef: secret,
      },
    },
    /elasticsearch\.usernameSecretRef: is needed/,
    { 'spec.sinks.elasticsearch.usernameSecretRef': secret },
  ],
  [
    { 'spec.load': { speed: 60 } },
    /load\.startAt: is needed with speed/,
    { 'spec.load.startAt': '2026-01-01T00:00:00Z' },
  ],
  [
    { 'spec.load': { bursts: { every: '1s', lasting: '2s', factor: 3 } } },
    /must not exceed every/,
    { 'spec.load.bursts.every': '2s' },
  ],
  [{ 'spec.workers': { autoscale: { min: 5, max: 4 } } }, /must not exceed max/, { 'spec.workers.autoscale.max': 5 }],
]
