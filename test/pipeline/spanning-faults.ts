/** Faults that span fields, by paths of the document: each with its message and the change that corrects it. */
import { AUTHENTICATION_FAULTS } from './authentication-faults.ts'
import { POD_FAULTS } from './pod-faults.ts'

type Changes = Record<string, unknown>

const PROJECTIONS = 'spec.sinks.elasticsearch.projections'
const secret = { name: 'store', key: 'password' }
const login = { name: 'store', key: 'username' }
const search = {
  projections: [{ aggregation: 'by_store', index: 'a' }],
  usernameSecretRef: login,
  passwordSecretRef: secret,
}

export const SPANNING_FAULTS: [fault: Changes, message: RegExp, healed: Changes][] = [
  [
    { 'spec.watermark': { sources: { field: 'shop' } } },
    /^spec\.watermark\.sources\.field: "shop" is not in event\.fields; use one of: store, amount, quantity, note$/,
    { 'spec.watermark.sources.field': 'store' },
  ],
  [
    { 'spec.window': { type: 'none', size: '1m' } },
    /^spec\.window\.size: 1m is not allowed when type is none; remove it/,
    { 'spec.window.size': undefined },
  ],
  [
    { 'spec.window': { type: 'tumbling' } },
    /window\.size: is required when type is tumbling/,
    { 'spec.window.size': '1m' },
  ],
  [
    { 'spec.window': { type: 'tumbling', size: '1m', slide: '10s' } },
    /window\.slide: 10s is not allowed when type is tumbling/,
    { 'spec.window.type': 'sliding' },
  ],
  [
    { 'spec.window': { type: 'sliding', size: '1m' } },
    /slide: is required when type is sliding/,
    { 'spec.window.slide': '20s' },
  ],
  [
    { 'spec.window': { type: 'sliding', size: '1m', slide: '7s' } },
    /size 1m is not a multiple of slide 7s/,
    { 'spec.window.slide': '6s' },
  ],
  [
    { 'spec.window': { type: 'sliding', size: '65s', slide: '1s' } },
    /size 65s is more than 64 times slide 1s/,
    { 'spec.window.size': '64s' },
  ],
  [
    { 'spec.window': { size: '1m', offset: '1m' } },
    /offset: must be less than size 1m; found 1m/,
    { 'spec.window.offset': '59s' },
  ],
  [
    { 'spec.aggregations[0].window': { type: 'tumbling' } },
    /aggregations\[0\]\.window\.size/,
    { 'spec.aggregations[0].window.size': '5s' },
  ],
  [
    { 'spec.sinks.postgres.readers': ['grafana', 'grafana'] },
    /spec\.sinks\.postgres\.readers\[1\]: "grafana" occurs twice; remove one of them/,
    { 'spec.sinks.postgres.readers[1]': 'Finance-dashboards@shop.iam' },
  ],
  ...['public', 'none', 'pg_monitor'].map((role): [Changes, RegExp, Changes] => [
    { 'spec.sinks.postgres.readers': [role] },
    /spec\.sinks\.postgres\.readers\[0\]: must not be public, none or a name that begins with pg_/,
    { 'spec.sinks.postgres.readers[0]': `x_${role}` },
  ]),
  ...['', 'a b', 'a"b', '1st', 'ä', 'x'.repeat(64)].map((role): [Changes, RegExp, Changes] => [
    { 'spec.sinks.postgres.readers': [role] },
    /spec\.sinks\.postgres\.readers\[0\]: must be the name of a PostgreSQL role/,
    { 'spec.sinks.postgres.readers[0]': 'x'.repeat(63) },
  ]),
  [{ 'spec.event.fields[1].name': 'store' }, /"store" occurs twice/, { 'spec.event.fields[1].name': 'amount' }],
  [
    { 'spec.event.explode': { path: 'lines', fields: [{ name: 'store' }] } },
    /explode\.fields\[0\]\.name: "store" is already a field of the event/,
    { 'spec.event.explode.fields[0].name': 'product' },
  ],
  [
    { 'spec.aggregations[0].measures[0].of': 'lines', 'spec.aggregations[0].measures[0].per': 'events' },
    /measures\[0\]\.per: events contradicts of: lines; remove one of them/,
    { 'spec.aggregations[0].measures[0].per': 'lines' },
  ],
  [
    {
      'spec.event.explode': { path: 'lines', fields: [{ name: 'price', type: 'decimal' }] },
      'spec.aggregations[0].measures[1].of': 'quantity * price',
      'spec.aggregations[0].measures[1].per': 'events',
    },
    /measures\[1\]\.per: must be lines, because "price" is a field of a line; found events/,
    { 'spec.aggregations[0].measures[1].of': 'quantity * amount' },
  ],
  [
    { 'spec.event.time': { format: 'epoch' } },
    /time\.path: is required unless format is record-timestamp/,
    { 'spec.event.time.path': 'at' },
  ],
  [
    { 'spec.event.time': { path: 'at', format: 'record-timestamp' } },
    /time\.path: at is not allowed when format is record-timestamp; remove it/,
    { 'spec.event.time.path': undefined },
  ],
  [
    { 'spec.event.time': { path: 'at', format: 'epoch', formats: ['iso8601'] } },
    /time\.formats: is not allowed beside format; move its value into formats, or remove one/,
    { 'spec.event.time.format': undefined },
  ],
  [
    { 'spec.event.time': { path: 'at', formats: ['dd/MM/yyyy'] } },
    /time\.formats\[0\]: "dd\/MM\/yyyy" has no XXX, so times have no zone; set zone/,
    { 'spec.event.time.zone': 'UTC' },
  ],
  [
    { 'spec.event.time': { path: 'at', formats: ['epoch', 'dd/MM HH:mm'], zone: 'UTC' } },
    /time\.formats\[1\]: must have yyyy, MM and dd once each, and HH, mm, ss, S and XXX at most once; found "dd\/MM HH:mm"/,
    { 'spec.event.time.formats': ['epoch', 'dd/MM/yyyy HH:mm'] },
  ],
  [
    { 'spec.event.time': { path: 'at', formats: ['dd/MM/yyyy dd'], zone: 'UTC' } },
    /must have yyyy, MM and dd once each/,
    { 'spec.event.time.formats': ['dd/MM/yyyy'] },
  ],
  [
    { 'spec.event.time': { path: 'at', formats: ['dd/MM/yyyy S:S'], zone: 'UTC' } },
    /and XXX at most once; found "dd\/MM\/yyyy S:S"/,
    { 'spec.event.time.formats': ['dd/MM/yyyy HH:mm:ss.SSS'] },
  ],
  [{ 'spec.deduplication': {} }, /event\.id: is required by deduplication/, { 'spec.event.id': 'id' }],
  [{ 'spec.event.fields[0].scale': 2 }, /2 is not allowed for type string/, { 'spec.event.fields[0].type': 'decimal' }],
  [
    { 'spec.event.fields[0].rounding': 'half-even' },
    /rounding: half-even is not allowed for type string; remove it or set type to number or decimal/,
    { 'spec.event.fields[0].type': 'decimal' },
  ],
  [
    { 'spec.event.fields[1].default': '0.001' },
    /at most 2 after it; found "0\.001"/,
    { 'spec.event.fields[1].scale': 3 },
  ],
  [
    { 'spec.event.fields[0]': { name: 'store', type: 'boolean', default: 'yes' } },
    /must be "true" or "false"; found "yes"/,
    { 'spec.event.fields[0].default': 'true' },
  ],
  [
    { 'spec.event.fields[0].default': 'a\0' },
    /without U\+0000; found "a\\u0000"/,
    { 'spec.event.fields[0].default': 'a' },
  ],
  [
    { 'spec.raw': { table: 'by_store' } },
    /"by_store" is also the name of the raw table/,
    { 'spec.raw.table': 'sales_raw' },
  ],
  [
    { 'spec.aggregations[0].groupBy': ['shop'] },
    /"shop" is not a field.*Existing fields: store, amount/,
    { 'spec.aggregations[0].groupBy': ['store'] },
  ],
  [
    { 'spec.aggregations[0].groupBy': ['note'] },
    /"note" is optional and has no default; set a default/,
    { 'spec.event.fields[3].default': '-' },
  ],
  [
    { 'spec.aggregations[0].groupBy': ['store', 'store'] },
    /"store" occurs twice/,
    { 'spec.aggregations[0].groupBy': ['store'] },
  ],
  [
    { 'spec.aggregations[0].measures[0].name': 'store' },
    /"store" is also the name of a measure/,
    { 'spec.aggregations[0].measures[0].name': 'n' },
  ],
  [
    { 'spec.aggregations[0].measures[0].scale': 1 },
    /scale: 1 is not allowed when op is count, which has no decimals/,
    { 'spec.aggregations[0].measures[0].scale': undefined },
  ],
  [
    { 'spec.aggregations[0].measures[0].of': 'amount' },
    /must be "lines" or "events" when op is count; found "amount"/,
    { 'spec.aggregations[0].measures[0].of': 'events' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': undefined },
    /is required when op is sum/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'amount *' },
    /measures\[1\]\.of: ends too early.*; found "amount \*"/,
    { 'spec.aggregations[0].measures[1].of': 'amount * quantity' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'price' },
    /"price" is not a field/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    { 'spec.aggregations[0].measures[1].of': 'store' },
    /"store" has type string; use a field of type number or decimal/,
    { 'spec.aggregations[0].measures[1].of': 'amount' },
  ],
  [
    {
      'spec.aggregations[0].measures': [
        { name: 'x', op: 'average', of: 'amount' },
        { name: 'x_sum', op: 'sum', of: 'amount' },
      ],
    },
    /"x_sum" occurs twice; rename a measure/,
    { 'spec.aggregations[0].measures[1].name': 'y' },
  ],
  [
    { [PROJECTIONS]: [{ aggregation: 'by_shop', index: 'a' }] },
    /"by_shop" is not an aggregation; use one of: by_store/,
    { [`${PROJECTIONS}[0].aggregation`]: 'by_store' },
  ],
  [
    { [PROJECTIONS]: [{ aggregation: 'by_store', index: 'a', fields: { orders: 'x', revenue: 'x' } }] },
    /"x" occurs twice/,
    { [`${PROJECTIONS}[0].fields.orders`]: 'y' },
  ],
  [
    {
      'spec.sinks.elasticsearch': {
        projections: [{ aggregation: 'by_store', index: 'a' }],
        passwordSecretRef: secret,
      },
    },
    /elasticsearch\.usernameSecretRef: is missing/,
    { 'spec.sinks.elasticsearch.usernameSecretRef': secret },
  ],
  [
    { 'spec.source.sasl': { mechanism: 'PLAIN', usernameSecretRef: login, passwordSecretRef: secret } },
    /^spec\.source\.sasl.*: sends the credentials \(PLAIN\) without encryption; set spec\.source\.tls.*spec\.source\.insecure: true/,
    { 'spec.source.insecure': true },
  ],
  [
    {
      'spec.source.sasl': { mechanism: 'SCRAM-SHA-512', usernameSecretRef: login, passwordSecretRef: secret },
      'spec.source.tls': { enabled: false },
      'spec.source.bootstrapServers': ['localhost:9092'],
    },
    /\(SCRAM-SHA-512\) without encryption/,
    { 'spec.source.tls': {} },
  ],
  ...AUTHENTICATION_FAULTS,
  ...POD_FAULTS,
  [
    { 'spec.sinks.postgres': { host: 'db', passwordSecretRef: secret } },
    /postgres\.passwordSecretRef: is sent to db without encryption/,
    { 'spec.sinks.postgres.insecure': true },
  ],
  [
    { 'spec.sinks.postgres': { host: '127.0.0.1.example', passwordSecretRef: secret, insecure: false } },
    /is sent to 127\.0\.0\.1\.example without encryption; set spec\.sinks\.postgres\.tls/,
    { 'spec.sinks.postgres.host': '127.0.0.1' },
  ],
  [
    { 'spec.sinks.elasticsearch': { ...search, nodes: ['https://a', 'http://localhost'], tls: {}, insecure: true } },
    /nodes\[1\]: http:\/\/localhost is not encrypted, but tls is enabled/,
    { 'spec.sinks.elasticsearch.tls.enabled': false },
  ],
  [
    { 'spec.sinks.elasticsearch': { ...search, nodes: ['http://127.0.0.1:9200', 'http://es:9200'] } },
    /nodes\[1\]: http:\/\/es:9200 receives the password without encryption; use https/,
    { 'spec.sinks.elasticsearch.nodes': ['http://127.0.0.1:9200/path'] },
  ],
  [
    { 'spec.sinks.elasticsearch': { ...search, nodes: ['http://localhost.example:9200'] } },
    /without encryption.*spec\.sinks\.elasticsearch\.insecure: true/,
    { 'spec.sinks.elasticsearch.insecure': true },
  ],
  [
    {
      'spec.source.tls': { caSecretRef: { name: 'store', key: 'pass-word' } },
      'spec.sinks.postgres': {
        usernameSecretRef: { name: 'store.pass', key: 'word' },
        passwordSecretRef: { name: 'store.pass', key: 'word' },
      },
    },
    /Secret keys store\/pass-word and store\.pass\/word have the same environment variable SECRET_STORE_PASS_WORD/,
    {
      'spec.sinks.postgres': {
        usernameSecretRef: { name: 'store', key: 'pass-word' },
        passwordSecretRef: { name: 'store', key: 'pass-word' },
      },
    },
  ],
  [
    { 'spec.sinks.postgres': { host: 'db', usernameSecretRef: login } },
    /^spec\.sinks\.postgres\.usernameSecretRef: has no password; set passwordSecretRef, or authenticate with tls\.clientCert/,
    { 'spec.sinks.postgres.tls': { clientCertSecretRef: { name: 'client' } } },
  ],
  [
    { 'spec.workers': { resources: { requests: { cpu: '1500m', memory: '1Gi' }, limits: { cpu: 1, memory: '2G' } } } },
    /^spec\.workers\.resources\.limits\.cpu: 1 is less than the request \(1500m\); raise the limit or lower the request$/,
    { 'spec.workers.resources.limits.cpu': 2 },
  ],
  [
    { 'spec.ingest': { resources: { requests: { memory: '1Gi' }, limits: { memory: '1000M' } } } },
    /^spec\.ingest\.resources\.limits\.memory: 1000M is less than the request \(1Gi\)/,
    { 'spec.ingest.resources.limits.memory': 1_073_741_824 },
  ],
  [
    { 'spec.ingest': { tokensSecretRef: { name: 'ingest', key: 'tokens' } } },
    /ingest\.tokensSecretRef: the ingest receives tokens without encryption.*spec\.ingest\.insecure: true/,
    { 'spec.ingest.insecure': true },
  ],
  [
    { 'spec.ingest': { jwt: { issuer: 'https://a', audience: 'b', jwksUrl: 'https://a/keys' } } },
    /ingest\.jwt: the ingest receives tokens without encryption; set spec\.ingest\.tls/,
    {
      'spec.ingest.tls': {
        certSecretRef: { name: 'tls', key: 'tls.crt' },
        keySecretRef: { name: 'tls', key: 'tls.key' },
      },
    },
  ],
  [
    { 'spec.event.fields[3].path': 'line_items.0.title' },
    /^spec\.event\.fields\[3\]\.path.*: "line_items\.0\.title" has an array index.*set spec\.event\.explode/,
    { 'spec.event.fields[3].path': 'line_items.2026.title' },
  ],
  [
    { 'spec.event.fields[3].path': 'line_items[0].title' },
    /fields\[3\]\.path.*: "line_items\[0\]\.title" has an array index/,
    { 'spec.event.fields[3].path': 'line_items.[a.title' },
  ],
  [{ 'spec.event.id': 'ids.0' }, /event\.id.*: "ids\.0" has an array index/, { 'spec.event.id': 'ids.0th' }],
  [
    { 'spec.event.time.path': 'times.12.at' },
    /event\.time\.path.*: "times\.12\.at" has an array index/,
    { 'spec.event.time.path': 'times.at12' },
  ],
  [
    { 'spec.event.explode': { path: 'orders[*].lines', fields: [{ name: 'sku', path: 'item' }] } },
    /explode\.path.*: "orders\[\*\]\.lines" has an array index/,
    { 'spec.event.explode.path': 'orders' },
  ],
  [
    { 'spec.event.explode': { path: 'lines', fields: [{ name: 'sku', path: 'parts.0' }] } },
    /explode\.fields\[0\]\.path.*: "parts\.0" has an array index/,
    { 'spec.event.explode.fields[0].path': '0.parts' },
  ],
  [
    { 'spec.allowedLateness': 'unlimited', 'spec.aggregations[0].retention': '720h' },
    /aggregations\[0\]\.retention.*: 30d is not allowed when allowedLateness is unlimited/,
    { 'spec.aggregations[0].allowedLateness': '1h' },
  ],
  [
    { 'spec.aggregations[0].allowedLateness': 'unlimited', 'spec.aggregations[0].retention': '720h' },
    /aggregations\[0\]\.retention.*not allowed when allowedLateness is unlimited/,
    { 'spec.aggregations[0].retention': undefined },
  ],
  [
    { 'spec.load': { speed: 60 } },
    /load\.startAt: is required when speed is above 1 \(found 60\)/,
    { 'spec.load.startAt': '2026-01-01T00:00:00Z' },
  ],
  [
    { 'spec.load': { bursts: { every: '1s', lasting: '2s', factor: 3 } } },
    /must not be longer than the value of "every" \(1s\); found 2s/,
    { 'spec.load.bursts.every': '2s' },
  ],
  [
    { 'spec.workers': { autoscale: { min: 5, max: 4 } } },
    /must not be greater than the value of "max" \(4\); found 5/,
    { 'spec.workers.autoscale.max': 5 },
  ],
]
