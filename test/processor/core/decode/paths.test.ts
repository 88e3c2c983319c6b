/** Tests that the scanner and the parser agree, and that the scanner accepts ordinary events. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Decoder } from '#processor/core/decode/decoder.ts'
import { Interner } from '#processor/core/decode/interner.ts'
import { check } from '#test/support/properties.ts'
import { compiledFor, type EventSpec } from './compiled.ts'
import { eventSpec, recordFor } from './spellings.ts'

const NOW = Date.UTC(2026, 0, 31, 12)

/** Returns all outputs of a decoder for its last record, in comparable form. */
function outputsOf(decoder: Decoder, compiled: CompiledSpec, strings: Interner) {
  return {
    time: decoder.time,
    id: compiled.spec.deduplication ? [...decoder.id] : null,
    lines: decoder.lines,
    keys: compiled.fields.map((field, i) => (field.isKey ? strings.text(decoder.codes[i]!) : null)),
    amounts: [...decoder.amounts],
    texts: compiled.fields.map((_, i) => decoder.text(i)),
  }
}

/** Concatenates records in one buffer, like the log, to catch a path that reads beyond the end of its record. */
function concatenate(records: Buffer[]): { bytes: Buffer; spans: [number, number][] } {
  const spans: [number, number][] = []
  let at = 0
  for (const record of records) {
    spans.push([at, at + record.length])
    at += record.length
  }
  return { bytes: Buffer.concat(records), spans }
}

it('returns the same from the scanner as from the parser for every record that the scanner accepts', () => {
  const seen = { records: 0, scanned: 0, good: 0 }
  const cases = eventSpec.chain(spec =>
    fc.tuple(fc.constant(spec), fc.array(recordFor(spec), { minLength: 1, maxLength: 5 })),
  )
  check(
    fc.property(cases, ([spec, records]) => {
      const compiled = compiledFor(spec)
      const scanStrings = new Interner()
      const parseStrings = new Interner()
      const scanning = new Decoder(compiled, scanStrings)
      const parsing = new Decoder(compiled, parseStrings)
      const { bytes, spans } = concatenate(records)
      for (const [start, end] of spans) {
        const scanned = scanning.scan(bytes, start, end, NOW)
        const fault = parsing.parse(bytes, start, end, NOW)
        seen.records++
        if (fault === null) seen.good++
        if (!scanned) continue
        seen.scanned++
        expect(fault, bytes.toString('latin1', start, end)).toBeNull()
        expect(outputsOf(scanning, compiled, scanStrings)).toEqual(outputsOf(parsing, compiled, parseStrings))
      }
    }),
    { numRuns: 4000 },
  )
  expect(seen.records).toBeGreaterThan(4000)
  expect(seen.good).toBeGreaterThan(seen.records / 20)
  expect(seen.scanned).toBeGreaterThan(seen.good / 2)
})

const ORDINARY: EventSpec = {
  id: 'transaction_id',
  time: { path: 'timestamp' },
  fields: [
    { name: 'category' },
    { name: 'store', path: 'store.name' },
    { name: 'country', path: 'store.country', default: 'unknown' },
    { name: 'amount', type: 'decimal', scale: 2 },
    { name: 'quantity', type: 'number' },
    { name: 'online', type: 'boolean', optional: true },
    { name: 'note', optional: true },
    { name: 'total', type: 'decimal', scale: 2, rounding: 'half-even', blankAsNull: true, default: '0' },
  ],
  groupBys: [['category', 'country'], ['quantity']],
}
const EVENT = {
  transaction_id: '3f2c9a34-58c1-4b53-9d1e-6d3f0f3f9e77',
  timestamp: '2026-01-31T10:00:00.123Z',
  customer: { name: 'Zoë "Z" \\ \n Ü', tags: ['a', 'b', []], age: -1.5e3, vip: null },
  store: { name: 'Köln', street: 'x' },
  category: 'books',
  amount: '12.50',
  quantity: 2,
  online: true,
}

describe('the scanner on ordinary events', () => {
  const scans = (record: string | object, spec = ORDINARY) => {
    const compiled = compiledFor(spec)
    const bytes = Buffer.from(typeof record === 'string' ? record : JSON.stringify(record))
    return new Decoder(compiled, new Interner()).scan(bytes, 0, bytes.length, NOW)
  }

  it.each([
    ['an ordinary event', EVENT],
    ['an event formatted by Python', JSON.stringify(EVENT, null, 1).replace(/\n */g, ' ')],
    ['an event of several lines', `${JSON.stringify(EVENT, null, 2)}\n`],
    ['a time without fraction', { ...EVENT, timestamp: '2026-01-31T10:00:00Z' }],
    ['a time formatted by Python', { ...EVENT, timestamp: '2026-01-31T10:00:00.123456+00:00' }],
    ['a number as amount', { ...EVENT, amount: 12.5 }],
    ['a refund', { ...EVENT, amount: '-12.50' }],
    ['a whole amount', { ...EVENT, amount: 12 }],
    ['zeros beyond the scale', { ...EVENT, amount: '12.5000' }],
    ['a key that is not ASCII', { ...EVENT, category: 'Bücher' }],
    ['a text and an id that are not ASCII', { ...EVENT, note: '☃', transaction_id: 'é' }],
    ['a numeric id', { ...EVENT, transaction_id: 12345 }],
    ['defaults and nulls', { ...EVENT, store: { name: 'x', country: null }, online: null }],
    ['an amount of a binary float, which is rounded', { ...EVENT, total: 455.20000000000005 }],
    ['an empty string that counts as null', { ...EVENT, total: '' }],
    ['keys in another order', Object.fromEntries(Object.entries(EVENT).reverse())],
  ])('scans %s', (_, record) => {
    expect(scans(record)).toBe(true)
  })

  it.each(['s', 'ms', 'us', 'ns'] as const)('scans an epoch in %s', unit => {
    const time = { s: 1735689600.5, ms: 1735689600123, us: 1735689600123456, ns: '1735689600123456789' }[unit]
    const spec: EventSpec = { time: { path: 'ts', format: 'epoch', unit } }
    expect(scans(`{"ts":${time}}`, spec)).toBe(true)
  })

  it('scans an event with more keys than it remembers', () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`key_${i}`, i]))
    expect(scans({ ...many, ...EVENT })).toBe(true)
    expect(scans({ ...EVENT, [`k${'e'.repeat(300)}y`]: 1 })).toBe(true)
  })
})

describe('the scanner on unusual events', () => {
  const { customer, ...rest } = EVENT
  const text = JSON.stringify(rest)
  const decoder = () => new Decoder(compiledFor(ORDINARY), new Interner())

  it.each([
    '"\\x"',
    '"\\u12g4"',
    '"\\u12"',
    '"\\"',
    '"\t"',
    '"a',
    '01',
    '-',
    '1.',
    '1.e5',
    '1e',
    '.5',
    '+1',
    'tru',
    'True',
    'nul',
    'falze',
    '[1,]',
    '[1 2]',
    '[',
    '[}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    '{',
    '',
  ])('leaves to the parser an unread value that is not JSON: %s', json => {
    const bytes = Buffer.from(`${text.slice(0, -1)},"customer":${json}}`)
    expect(decoder().scan(bytes, 0, bytes.length, NOW)).toBe(false)
    expect(decoder().parse(bytes, 0, bytes.length, NOW)?.reason).toBe('not_json')
  })

  it.each(['}', ' }', ',}', '{}', ' {}', ',"x":1}', '\u00A0}', '\0}'])(
    'leaves to the parser an event that is followed by %j',
    more => {
      const bytes = Buffer.from(text + more)
      expect(decoder().scan(bytes, 0, bytes.length, NOW)).toBe(false)
      expect(decoder().parse(bytes, 0, bytes.length, NOW)?.reason).toBe('not_json')
    },
  )

  it('leaves to the parser a truncated event, at the end of the buffer and before another event', () => {
    const whole = Buffer.from(text)
    const one = decoder()
    for (let length = 1; length < whole.length; length++)
      for (const tail of ['', '}']) {
        expect(one.scan(whole, 0, whole.length, NOW)).toBe(true)
        const cut = Buffer.from(text.slice(0, length) + tail)
        const alone = Buffer.from(new Uint8Array(cut).buffer)
        const followed = Buffer.concat([cut, Buffer.from(text.slice(length)), whole])
        const good = one.parse(alone, 0, cut.length, NOW) === null
        expect(one.scan(alone, 0, cut.length, NOW)).toBe(good)
        expect(one.scan(followed, 0, cut.length, NOW)).toBe(good)
      }
  })
})

it('gives an event the same id in any buffer', () => {
  const compiled = compiledFor(ORDINARY)
  const scanning = new Decoder(compiled, new Interner())
  const parsing = new Decoder(compiled, new Interner())
  const ids = ['3f2c9a34-58c1-4b53-9d1e-6d3f0f3f9e77', 'other', '3f2c9a34-58c1-4b53-9d1e-6d3f0f3f9e78'].map(id => {
    const bytes = Buffer.from(JSON.stringify({ ...EVENT, transaction_id: id }))
    expect(scanning.scan(bytes, 0, bytes.length, NOW)).toBe(true)
    expect(parsing.parse(bytes, 0, bytes.length, NOW)).toBeNull()
    expect(scanning.id).toEqual(parsing.id)
    return scanning.id.join()
  })
  expect(new Set(ids).size).toBe(3)
})

it('decodes each event independently of what the scanner remembers of the last one', () => {
  const compiled = compiledFor(ORDINARY)
  const strings = new Interner()
  const decoder = new Decoder(compiled, strings)
  const moved = { ...EVENT, store: EVENT.customer, customer: EVENT.store, category: 'toys' }
  const { note, ...nested } = { ...EVENT, note: 0, x: { category: 'inner', amount: '1', store: { name: 'inner' } } }
  const records = [EVENT, nested, EVENT, moved, { ...nested, store: { x: nested.x, ...nested.store } }, EVENT]
  const decoded = records.map(record => {
    const bytes = Buffer.from(JSON.stringify(record))
    return decoder.decode(bytes, 0, bytes.length, NOW)?.reason ?? [decoder.text(0), decoder.text(1), decoder.text(3)]
  })
  const ordinary = ['books', 'Köln', '12.5']
  const other = ['toys', EVENT.customer.name, '12.5']
  expect(decoded).toEqual([ordinary, ordinary, ordinary, other, ordinary, ordinary])
})
