/** The ingest and the engine must agree on every event: a sale accepted with 202 never becomes a dead letter. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { Decoder } from '#processor/core/decode/decoder.ts'
import { Interner } from '#processor/core/decode/interner.ts'
import { check } from '#test/support/properties.ts'
import { ingestApp } from './fixture.ts'

const specOf = (time: string, integralIds = false) =>
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: agreement }
spec:
  source: { topic: sales }
  event:
    id: order.id
    integralIds: ${integralIds}
    time: ${time}
    fields:
      - { name: store }
      - { name: amount, type: decimal, scale: 2 }
      - { name: points, type: number, scale: 1, default: "0" }
      - { name: member, type: boolean, optional: true }
      - { name: country, path: customer.country, default: unknown }
      - { name: total, type: decimal, scale: 2, rounding: half-even, blankAsNull: true, default: "0" }
      - { name: weight, type: number, scale: 1, rounding: half-even, blankAsNull: true, optional: true }
      - { name: tax, type: decimal, blankAsNull: true }
      - { name: channel, blankAsNull: true }
      - { name: gift, type: boolean, blankAsNull: true, default: "false" }
    explode:
      path: lines
      maxLines: 3
      fields:
        - { name: product, path: item.name }
        - { name: quantity, type: number }
        - { name: price, type: decimal, scale: 4, optional: true }
  deduplication: {}
  aggregations: [{ name: totals, groupBy: [store, country, channel, product], measures: [{ name: sales, op: count }] }]
`).spec

const raw = (...texts: string[]) => fc.constantFrom(...texts)
const anything = raw(
  'null',
  'true',
  '0',
  '-1',
  '1.5',
  '""',
  '"x"',
  '{}',
  '[]',
  '"\\ud800"',
  '"a\\u0000"',
  '{"text":"5"}',
)
/** Generates mostly valid values. Otherwise almost every event would be refused, and no agreement on valid ones tested. */
const mostly = (good: fc.Arbitrary<string>, odd: fc.Arbitrary<string> = anything) =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: odd }, { weight: 1, arbitrary: anything })

const quoted = (text: string) => JSON.stringify(text)
/** Strings around the maximum size of a key. */
const LONG = ['x'.repeat(400), 'é'.repeat(512), 'y'.repeat(1025)]
const goodNumber = raw(
  '0',
  '-0.0',
  '12',
  '-7',
  '1.1',
  '1.10',
  '1.100',
  '1e2',
  '150E-1',
  '1e-400',
  '0e999',
  '9'.repeat(30),
)
const oddNumber = raw(
  '12.345',
  `${'9'.repeat(29)}.995`,
  '455.20000000000005',
  '1e400',
  '-1e31',
  '9'.repeat(31),
  `${'9'.repeat(30)}.99`,
  '1e-2',
  '0.05',
  '1.00001',
)
const number = mostly(goodNumber, oddNumber)
const decimal = fc.oneof(
  number,
  mostly(goodNumber, fc.oneof(oddNumber, raw('+1', '.5', '1.', ' 1', '1,5', '01', '', 'NaN', '0x1'))).map(quoted),
)
const string = fc.oneof(
  raw('"a"', '""', '"\\ud83d\\ude42"', '"caf\\u00e9"'),
  fc.string({ unit: 'grapheme', maxLength: 4 }).map(quoted),
  mostly(raw('"b"'), raw('"\\ude42\\ud83d"', ...LONG.map(quoted))),
)
const id = mostly(
  fc.oneof(string, raw('5', '-5', '123456789012345678901234567890')),
  raw('5.0', '5e1', '1.5', '1e30', '-0.0'),
)
const rfc3339 = fc
  .tuple(
    mostly(
      raw('2026-01-31', '2024-02-29', '0001-01-02'),
      raw(
        '2026-02-29',
        '0000-01-01',
        '0001-01-01',
        '9999-12-31',
        '2026-13-01',
        '2026-1-1',
        '2026-04-31',
        '2026-00-10',
        '2026-01-00',
      ),
    ),
    mostly(raw('T', 't', ' '), raw('_')),
    mostly(raw('00:00:00', '23:59:59'), raw('23:59:60', '24:00:00', '12:60:00', '12:00', '1:00:00')),
    mostly(raw('', '.5', '.123456789'), raw('.', ',5')),
    mostly(raw('Z', 'z', '+00:00', '-23:59', '+14:00'), raw('+24:00', '', ' Z', '+0100', '+01:60')),
  )
  .map(parts => `"${parts.join('')}"`)
const epoch = mostly(
  raw('0', '-62135596800', '1769860800', '1769860800.999', '1.7e9', '-1.5'),
  raw('-62135596801', '253402300799', '253402300800', '1e400', '"0"'),
)

const rounded = raw('1', '455.20000000000005', '"0.005"', `${'9'.repeat(29)}.995`)
const looseTime = mostly(
  fc
    .tuple(
      mostly(raw('2026-01-31', '31/01/2026', '0001-01-02'), raw('2026-02-30', '0000-01-01', '31/02/2026')),
      mostly(raw('T10:00:00', ' 10:00:00', ' 10:00', ''), raw('T10:00:00,5', ' 24:00:00', ' 10:60', ' 10:00:00.')),
      mostly(raw('Z', ' -03', '-0300', ' UTC', ''), raw('+24:00', 'utc', ' GMT', '+01:60')),
    )
    .map(parts => `"${parts.join('')}"`),
  fc.oneof(
    rfc3339,
    epoch,
    epoch.map(text => `"${text}"`),
  ),
)

const blankable = (value: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 40, arbitrary: value },
    raw('""', '" "', '"\\r\\n"'),
    raw('" x"', '"\\u00a0"', `${'9'.repeat(30)}.995`, '"455.20000000000005"'),
  )

const member = (name: string, value: fc.Arbitrary<string>) =>
  fc.option(value, { freq: 25, nil: null }).map(text => (text === null ? null : `"${name}":${text}`))
const object = (...members: fc.Arbitrary<string | null>[]) =>
  fc.tuple(...members).map(parts => `{${parts.filter(part => part !== null).join(',')}}`)

const line = object(
  member('item', object(member('name', mostly(string)))),
  member('quantity', mostly(raw('1', '3.0', '1e1'), oddNumber)),
  member('price', mostly(decimal)),
)
const linesOf = (minLength: number, maxLength: number) =>
  fc.array(line, { minLength, maxLength }).map(lines => `[${lines.join(',')}]`)
const event = (time: fc.Arbitrary<string>) =>
  object(
    member('order', object(member('id', id))),
    member('at', time),
    member('store', mostly(string)),
    member('amount', decimal),
    member('points', number),
    member('member', mostly(raw('true', 'false'))),
    member('customer', fc.oneof(raw('null'), object(member('country', mostly(string))))),
    member('lines', mostly(linesOf(1, 2), linesOf(3, 4))),
    member('total', blankable(rounded)),
    member('weight', blankable(raw('1', '0.25', '1e1'))),
    member('tax', blankable(raw('1', '0.05', '"2.5"'))),
    member('channel', mostly(raw('"web"', '" web"'), raw('""', '" \\t"', '"\\u0020"', ...LONG.map(quoted)))),
    member('gift', blankable(raw('true', 'false'))),
    member('__proto__', raw('{"amount":1}')),
  )

it.each<[name: string, time: string, times: fc.Arbitrary<string>, integralIds?: boolean]>([
  ['RFC 3339 times', '{ path: at }', rfc3339],
  ['RFC 3339 times with a declared zone', '{ path: at, zone: "-03:00" }', rfc3339],
  ['epoch times', '{ path: at, format: epoch, unit: s }', epoch],
  ['ISO 8601 times', '{ path: at, format: iso8601, notBefore: "0001-01-01T00:00:00Z" }', looseTime],
  [
    'ISO 8601 times with a declared zone',
    '{ path: at, format: iso8601, zone: "-03:00", notBefore: "0001-01-01T00:00:00Z" }',
    looseTime,
  ],
  [
    'several formats',
    '{ path: at, formats: [dd/MM/yyyy HH:mm:ss, iso8601, epoch], unit: s, zone: UTC, notBefore: "0001-01-01T00:00:00Z" }',
    looseTime,
  ],
  ['the time of the record', '{ format: record-timestamp }', epoch],
  ['ids such as 5.0', '{ path: at, format: epoch, unit: s }', epoch, true],
])('accepts the same events as the engine with %s', async (_name, time, times, integralIds = false) => {
  const spec = specOf(time, integralIds)
  const { post } = await ingestApp(spec)
  const decoder = new Decoder(compileSpec(spec), new Interner())
  const seen = { accepted: 0, refused: 0 }
  await check(
    fc.asyncProperty(event(times), async text => {
      const bytes = Buffer.from(text)
      const response = await post(bytes)
      const fault = decoder.decode(bytes, 0, bytes.length, Date.now())
      expect({ text, status: response.status, faults: response.body.faults ?? [] }).toMatchObject(
        fault === null ? { status: 202 } : { status: 400 },
      )
      seen[fault === null ? 'accepted' : 'refused']++
    }),
    { numRuns: 1500 },
  )
  expect(seen.accepted).toBeGreaterThan(80)
  expect(seen.refused).toBeGreaterThan(200)
})
