/** Generates specs, and byte strings of events for them: mostly plausible ones, in all forms that JSON allows. */
import fc from 'fast-check'
import type { EventSpec, FieldSpec } from './compiled.ts'

const PATHS = [
  'a',
  'b',
  'a.b',
  'c.d',
  'c.e',
  'c.d.f',
  'é',
  '__proto__',
  'constructor.x',
  'id',
  'ts',
  'meta.ts',
  'quantity',
]
const TYPES = ['string', 'number', 'decimal', 'boolean'] as const

const defaultOf = { string: 'none', number: '-007', decimal: '1.5', boolean: 'false' } as const

const field = fc
  .record({
    path: fc.constantFrom(...PATHS),
    type: fc.constantFrom(...TYPES),
    scale: fc.integer({ min: 1, max: 4 }),
    presence: fc.constantFrom('required', 'optional', 'default'),
    rounds: fc.boolean(),
    blankAsNull: fc.boolean(),
  })
  .map(
    ({ path, type, scale, presence, rounds, blankAsNull }): Omit<FieldSpec, 'name'> => ({
      path,
      type,
      ...(type === 'number' || type === 'decimal' ? { scale } : {}),
      ...(rounds && (type === 'number' || type === 'decimal') ? { rounding: 'half-even' } : {}),
      ...(blankAsNull ? { blankAsNull } : {}),
      ...(presence === 'default' ? { default: defaultOf[type] } : {}),
      optional: presence === 'optional',
    }),
  )

type Time = NonNullable<EventSpec['time']>

const path = fc.constantFrom('ts', 'meta.ts', 'a')
const unit = fc.constantFrom('s', 'ms', 'us', 'ns')
const zone = fc.constantFrom('UTC', '-03:00')
/** Before and within the times that are generated. */
const notBefore = fc.constantFrom('0001-01-01T00:00:00Z', '2026-01-31T10:00:00Z')

const FORMATS = [
  ['rfc3339', 'epoch'],
  ['epoch', 'iso8601'],
  ['iso8601', 'dd/MM/yyyy HH:mm:ss'],
  ['MM/dd/yyyy HH:mm:ss', 'dd/MM/yyyy HH:mm:ss', 'rfc3339'],
  ['yyyy-dd-MM HH:mm:ss', 'yyyyMMdd', 'iso8601', 'epoch'],
  ['dd.MM.yyyy HH:mm:ss.SSSXXX', 'epoch'],
]

const time: fc.Arbitrary<Time> = fc.oneof(
  fc.record(
    { path, format: fc.constantFrom('rfc3339', 'rfc3339', 'iso8601', 'epoch'), unit, zone, notBefore },
    { requiredKeys: ['path', 'format', 'unit'] },
  ),
  fc.record({ path, formats: fc.constantFrom(...FORMATS), unit, zone }),
  fc.record({ path: fc.constant(undefined), format: fc.constant('record-timestamp'), notBefore }),
)

export const eventSpec: fc.Arbitrary<EventSpec> = fc
  .record({
    time,
    id: fc.constantFrom(undefined, 'id', 'meta.id'),
    integralIds: fc.boolean(),
    fields: fc.array(field, { maxLength: 5 }),
    grouped: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  })
  .map(({ time, id, integralIds, fields, grouped }) => {
    const named = fields.map((f, i) => ({ ...f, name: `f${i}` }))
    const keys = named.filter((f, i) => grouped[i] && !f.optional).map(f => f.name)
    return { time, id, integralIds, fields: named, groupBys: [keys, keys.slice(1)] }
  })

const space = fc.constantFrom('', '', '', '', ' ', '  ', '\n', '\t', '\r\n')

/** Generates the common forms by far the most often, so that most events are good. */
const often = <T>(common: fc.Arbitrary<T>, ...others: fc.Arbitrary<T>[]) =>
  fc.oneof({ weight: 15 * others.length, arbitrary: common }, ...others)

const stringText = often(
  fc.constantFrom('"books"', '"toys and games"', '"Österreich"', '""', '"a,b:{c}"'),
  fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map(text => JSON.stringify(text)),
  fc.constantFrom(
    '"books"',
    '""',
    '"Österreich"',
    '"\u{1F600}"',
    '"\uFFFD"',
    '"\\u00e9"',
    '"\\ud83d\\ude00"',
    '"a\\/b"',
  ),
  fc.constantFrom('" "', '" x"', '"\\t"', '"\\u0020 "'),
  fc.constantFrom('"\\ud83d"', '"\\u0000"', '"\\n"', '"null"', '"{}"', '"]"', '"a,\\"b"', `"${'x'.repeat(1030)}"`),
)

const numberText = often(
  fc.integer({ min: -1000, max: 100_000 }).chain(n => fc.constantFrom(`${n}`, `${n}.5`, `${n}.0`)),
  fc.tuple(fc.integer({ min: -99, max: 9999 }), fc.integer({ min: 0, max: 999 })).map(([a, b]) => `${a}.${b}`),
  fc.constantFrom('0', '-0', '0.0', '-0.00', '1.50', '100', '1e3', '1E-2', '1.5e+2', '0e99', '1e400', '12.000000'),
  fc.constantFrom('123456789012345', '1234567890123456', '99999999999.9999', '-99999999999999.9', `1${'0'.repeat(31)}`),
  fc.constantFrom('0.005', '-0.0005', '455.20000000000005', '0.30000000000000004', '2.5', '9.99995', '-9.99995'),
  fc.constantFrom(`${'9'.repeat(30)}.99999`, `${'9'.repeat(29)}.99999`, '1e-400', `1e-${'9'.repeat(20)}`),
  fc.constantFrom('01', '-', '1.', '.5', '+1', '0x1', '1e', '--1', 'NaN'),
)

const timeText = often(
  fc
    .date({ min: new Date(0), max: new Date('2026-01-31T12:04:00Z'), noInvalidDate: true })
    .map(date => `"${date.toISOString()}"`),
  fc.constantFrom('"2026-01-31T10:00:00Z"', '"2026-01-31T10:00:00.123456+00:00"', '"2026-01-31 10:00:00"'),
  fc.constantFrom('"2026-02-30T10:00:00Z"', '"9999-12-31T23:59:59-00:01"', '"2026-01-31T10:00:00\\u005a"', '""'),
)

const looseTimeText = often(
  fc
    .tuple(
      fc.constantFrom('2026-01-31', '31/01/2026', '2026-13-01', '31.01.2026', '20260131'),
      fc.constantFrom(
        'T10:00:00',
        ' 10:00:00',
        ' 10:00',
        '',
        'T10:00:00,123',
        ' 10:00:00.5',
        ' 10:00:00.123',
        ' 24:00:00',
      ),
      fc.constantFrom('', 'Z', 'z', ' Z', '-0300', '-03', ' -03:00', ' UTC', 'GMT', ' utc', '+9999', '-030'),
    )
    .map(parts => `"${parts.join('')}"`),
  fc.constantFrom('"1735689600"', '"1735689600.5"', '" 1735689600"', '"1e9"', '"20260131"', '"02/13/2026 10:00:00"'),
  fc.constantFrom('"2026-01-02 10:00:00"', '"2026-01-02T10:00Z"', '"\\ud800"', '"2026-01-31T10:00\\u005a"'),
)

const epochText = often(
  fc.integer({ min: 0, max: 1_700_000_000 }).map(String),
  fc.bigInt({ min: 0n, max: 10n ** 19n }).map(String),
  fc.constantFrom('1735689600.123456', '1735689600123', '-1', '-0.5', '1e9', '253402300800', '0', '0.0', '00'),
)

const LITERALS = [
  'true',
  'false',
  'null',
  'tru',
  'nulll',
  '[]',
  '{}',
  '[1,{"a":[]}]',
  '{"b":{"b":null}}',
  '[1,]',
  '{"x"}',
]
const anyText = fc.oneof(stringText, numberText, timeText, fc.constantFrom(...LITERALS))

/** Values that are mostly of the right type. */
const textFor = {
  string: often(stringText, anyText),
  number: often(numberText, anyText),
  decimal: often(
    fc.oneof(
      numberText,
      numberText.map(text => `"${text}"`),
    ),
    anyText,
  ),
  boolean: often(fc.constantFrom('true', 'false'), anyText),
  rfc3339: often(timeText, anyText),
  iso8601: often(fc.oneof(timeText, looseTimeText), anyText),
  epoch: often(epochText, anyText),
  formats: often(fc.oneof(timeText, looseTimeText, epochText), anyText),
  id: often(
    fc.uuid().map(id => `"${id}"`),
    fc.integer().map(String),
    fc.constantFrom('17850.0', '-3e2', '-0.0', '1.5', '1e30', '1e29', '0e99'),
    anyText,
  ),
}

type Node = { text?: string; children: Map<string, Node> }
type PathText = { path: string; text: fc.Arbitrary<string> }

const spelledKey = (key: string) =>
  fc.oneof(
    { weight: 60, arbitrary: fc.constant(JSON.stringify(key)) },
    fc.constant(`"${key.replace(/^./u, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`),
  )

/** Generates the members of one object in any order, sometimes with unknown keys and duplicates. */
function objectText(node: Node): fc.Arbitrary<string> {
  const own = [...node.children].map(([key, child]) => member(spelledKey(key), valueText(child)))
  const unknown = member(fc.oneof(fc.constantFrom('"x"', '"é"', '"ab"', '""', '"\\u0041"'), stringText), anyText)
  const extra = own.length === 0 ? unknown : fc.oneof({ weight: 8, arbitrary: unknown }, ...own)
  return fc
    .tuple(
      fc.tuple(...own),
      often(fc.constant<string[]>([]), fc.array(extra, { maxLength: 2 })),
      space,
      fc.infiniteStream(fc.nat()),
    )
    .map(([members, others, blank, order]) => {
      const all = [...members, ...others].filter(text => text !== '')
      const shuffled = all.map(text => ({ text, rank: order.next().value % 4 })).sort((a, b) => a.rank - b.rank)
      return `{${blank}${shuffled.map(({ text }) => text).join(`${blank},`)}${blank}}`
    })
}

/** Generates a key with its value; sometimes empty text, to omit the key. */
function member(key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(key, value, space, space, fc.integer({ min: 0, max: 39 }))
    .map(([key, value, a, b, out]) => (out === 0 ? '' : `${a}${key}${b}:${a}${value}`))
}

function valueText(node: Node): fc.Arbitrary<string> {
  const object = objectText(node)
  if (node.text === undefined) return fc.oneof({ weight: 15, arbitrary: object }, anyText)
  return node.children.size === 0 ? fc.constant(node.text) : fc.oneof(fc.constant(node.text), object)
}

/** A change of one record's bytes: a byte is replaced, inserted or deleted, or the end is cut off. */
const mutation = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'delete', 'cut'),
  at: fc.nat(),
  byte: fc.oneof(
    fc.constantFrom(...Buffer.from('"\\{}[]:,. \n09eE-tu')),
    fc.constantFrom(0, 0x1f, 0x80, 0xc3, 0xe2, 0xff),
  ),
})

function mutate(bytes: Buffer, { kind, at, byte }: { kind: string; at: number; byte: number }): Buffer {
  const place = at % bytes.length
  if (kind === 'cut') return bytes.subarray(0, place)
  const after = kind === 'insert' ? place : place + 1
  const middle = kind === 'delete' ? [] : [byte]
  return Buffer.concat([bytes.subarray(0, place), Buffer.from(middle), bytes.subarray(after)])
}

function timeTextOf({ path, format }: Time): PathText[] {
  if (path === undefined || format === 'record-timestamp') return []
  return [{ path, text: textFor[format ?? 'formats'] }]
}

/** Generates a record for this spec. */
export function recordFor(spec: EventSpec): fc.Arbitrary<Buffer> {
  const values: PathText[] = [
    ...(spec.fields ?? []).map(({ path, type }) => ({ path: path!, text: textFor[type!] })),
    ...timeTextOf(spec.time!),
    ...(spec.id === undefined ? [] : [{ path: spec.id, text: textFor.id }]),
  ]
  return fc
    .tuple(...values.map(({ text }) => text))
    .chain(texts => objectText(treeOf(values.map(({ path }, i) => ({ path, text: texts[i]! })))))
    .chain(text => {
      const bytes = fc.tuple(space, space).map(([before, after]) => Buffer.from(before + text + after))
      const mutated = fc.tuple(bytes, mutation).map(([bytes, change]) => mutate(bytes, change))
      return fc.oneof({ weight: 4, arbitrary: bytes }, mutated)
    })
}

function treeOf(values: { path: string; text: string }[]): Node {
  const root: Node = { children: new Map() }
  for (const { path, text } of values) {
    let node = root
    for (const key of path.split('.')) {
      const child = node.children.get(key) ?? { children: new Map() }
      node.children.set(key, child)
      node = child
    }
    node.text = text
  }
  return root
}
