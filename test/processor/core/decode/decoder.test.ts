/** Tests the outputs of good records, and every reason for which a record is dead (contract, sections 5 to 8). */
import { describe, expect, it } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { type DecodeFault, Decoder } from '#processor/core/decode/decoder.ts'
import { Interner } from '#processor/core/decode/interner.ts'
import { compiledFor, type EventSpec, MAX_SKEW } from './compiled.ts'

const TIME = Date.UTC(2026, 0, 31, 10, 0, 0, 123)
const SALE: EventSpec = {
  id: 'id',
  fields: [
    { name: 'category' },
    { name: 'country', path: 'customer.address.country', default: 'unknown' },
    { name: 'amount', type: 'decimal', scale: 2 },
    { name: 'quantity', type: 'number' },
    { name: 'online', type: 'boolean', default: 'false' },
    { name: 'note', optional: true },
    { name: 'rate', type: 'decimal', scale: 3, optional: true },
  ],
  groupBys: [['category', 'country'], ['online'], ['quantity', 'amount']],
}
const GOOD = { id: 'a-1', ts: '2026-01-31T10:00:00.123Z', category: 'books', amount: '12.50', quantity: 2 }

type Decoded = { time: number; id: number[]; keys: Record<string, string>; amounts: unknown[]; texts: unknown[] }

/** Decodes the record in the middle of a buffer, as in the log. */
function decode(spec: EventSpec, record: string | Buffer | object, timestamp = TIME): Decoded | DecodeFault {
  const compiled = compiledFor(spec)
  const strings = new Interner()
  const decoder = new Decoder(compiled, strings)
  const text = typeof record === 'string' || Buffer.isBuffer(record) ? record : JSON.stringify(record)
  const value = Buffer.from(text as string)
  const bytes = Buffer.concat([Buffer.from('{"a":"'), value, Buffer.from('"}')])
  const fault = decoder.decode(bytes, 6, 6 + value.length, timestamp)
  if (fault) return fault
  decoder.selectLine(0)
  const keyFields = compiled.fields.map((field, i) => ({ field, i })).filter(({ field }) => field.isKey)
  return {
    time: decoder.time,
    id: [...decoder.id],
    keys: Object.fromEntries(keyFields.map(({ field, i }) => [field.name, strings.text(decoder.codes[i]!)])),
    amounts: [...decoder.amounts],
    texts: compiled.fields.map((_, i) => decoder.text(i)),
  }
}

const sale = (change: object) => decode(SALE, { ...GOOD, ...change })
const without = (key: keyof typeof GOOD) => decode(SALE, { ...GOOD, [key]: undefined })
/** Decodes GOOD with raw JSON text in place of one value. */
const raw = (key: string, json: string) =>
  decode(
    SALE,
    JSON.stringify({ ...GOOD, [key]: '@@' }).replace('"@@"', () => json),
  )
const bytesOf = (...parts: (string | number[])[]) => Buffer.concat(parts.map(part => Buffer.from(part as string)))

describe('a good record', () => {
  it('decodes time, keys, amounts and texts', () => {
    expect(sale({})).toMatchObject({
      time: TIME,
      keys: { category: 'books', country: 'unknown', online: 'false', quantity: '2', amount: '12.5' },
      amounts: [0, 0, 1250, 2, 0, 0, 0],
      texts: ['books', 'unknown', '12.5', '2', 'false', null, null],
    })
    const more = { customer: { address: { country: 'Österreich' } }, online: true, note: 'Ö "x"', rate: 0.125 }
    expect(sale(more)).toMatchObject({
      keys: { country: 'Österreich', online: 'true' },
      texts: ['books', 'Österreich', '12.5', '2', 'true', 'Ö "x"', '0.125'],
      amounts: [0, 0, 1250, 2, 0, 0, 125],
    })
  })

  it.each([
    ['-12.5', -1250, '-12.5'],
    ['0.1', 10, '0.1'],
    ['0.2', 20, '0.2'],
    ['"0.30"', 30, '0.3'],
    ['-0', 0, '0'],
    ['"-0.00"', 0, '0'],
    ['1.5e1', 1500, '15'],
    ['0e999999', 0, '0'],
    ['100.0000000', 10000, '100'],
    ['90071992547409.91', 9007199254740991, '90071992547409.91'],
    ['90071992547409.92', 9007199254740992n, '90071992547409.92'],
    [`"${'9'.repeat(30)}"`, BigInt(`${'9'.repeat(30)}00`), '9'.repeat(30)],
  ])('keeps amount %s exact', (json, amount, key) => {
    const result = raw('amount', json)
    expect(result).toMatchObject({ keys: { amount: key } })
    expect((result as Decoded).amounts[2]).toBe(amount)
  })

  it('treats null like an absent field', () => {
    const nulls = sale({ customer: null, online: null, note: null, rate: null })
    expect(nulls).toEqual(sale({}))
    expect(sale({ customer: { address: null } })).toEqual(nulls)
  })

  it('treats a field inside a value that is not an object as absent', () => {
    for (const customer of [7, 'x', true, [], [{ address: { country: 'AT' } }], { address: [1] }, { address: 'x' }])
      expect(sale({ customer })).toMatchObject({ keys: { country: 'unknown' } })
    const indexed: EventSpec = { fields: [{ name: 'size', path: 'list.length', type: 'number', optional: true }] }
    expect(decode(indexed, { ts: GOOD.ts, list: [1, 2] })).toMatchObject({ texts: [null] })
  })

  it('reads own properties only', () => {
    const spec: EventSpec = {
      fields: [
        { name: 'proto', path: '__proto__.x', optional: true },
        { name: 'ctor', path: 'constructor.name', optional: true },
        { name: 'to_string', path: 'toString', optional: true },
      ],
    }
    expect(decode(spec, `{"ts":"${GOOD.ts}"}`)).toMatchObject({ texts: [null, null, null] })
    const hostile = `{"__proto__":{"x":"1","y":{}},"constructor":{"name":"2"},"toString":"3","ts":"${GOOD.ts}"}`
    expect(decode(spec, hostile)).toMatchObject({ texts: ['1', '2', '3'] })
    expect(decode({}, `{"__proto__":null,"ts":"${GOOD.ts}"}`)).toMatchObject({ time: TIME })
    expect(decode({}, `{"__proto__":{"ts":"${GOOD.ts}"}}`)).toEqual({ reason: 'missing_field', field: 'ts' })
  })

  it('distinguishes keys that UTF-8 cannot encode', () => {
    const spec: EventSpec = { fields: [{ name: 'odd', path: '\ud800', optional: true }] }
    expect(decode(spec, `{"ts":"${GOOD.ts}","\\ud800":"x"}`)).toMatchObject({ texts: ['x'] })
    expect(decode(spec, `{"ts":"${GOOD.ts}","\uFFFD":"x"}`)).toMatchObject({ texts: [null] })
  })

  it('uses the last of duplicate keys, also for objects on a path', () => {
    expect(raw('amount', '1,"amount":2.5')).toMatchObject({ keys: { amount: '2.5' } })
    expect(raw('amount', '"x","\\u0061mount":2.5')).toMatchObject({ keys: { amount: '2.5' } })
    const twice = '{"address":{"country":"AT"}},"customer":{"address":{}}'
    expect(raw('customer', twice)).toMatchObject({ keys: { country: 'unknown' } })
  })

  it('keeps empty strings, and U+FFFD of the input', () => {
    expect(sale({ category: '' })).toMatchObject({ keys: { category: '' } })
    expect(sale({ category: 'a\uFFFDb', note: '\uFFFD' })).toMatchObject({ keys: { category: 'a\uFFFDb' } })
  })

  it('accepts broken strings in fields that are not read', () => {
    const record = JSON.stringify({ ...GOOD, extra: '@' })
    for (const junk of [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80], [...Buffer.from('\\ud800 \\u0000')]]) {
      const [before, after] = record.split('@')
      expect(decode(SALE, bytesOf(before!, junk, after!))).toMatchObject({ time: TIME })
    }
  })

  it('gives "5" and 5 the same id, and every other text another id', () => {
    const ids = ['"5"', '5', '"05"', '"5 "', '""', '-5', '"é"', '"e\u0301"', '12345678901234567890123'].map(json =>
      (raw('id', json) as Decoded).id.join(),
    )
    expect(ids[0]).toBe(ids[1])
    expect(new Set(ids).size).toBe(ids.length - 1)
  })

  it('requires no id without deduplication', () => {
    expect(decode({ ...SALE, id: undefined }, { ...GOOD, id: undefined })).toMatchObject({ time: TIME })
  })
})

describe('time', () => {
  const epoch = (unit: 's' | 'ms' | 'us' | 'ns', json: string) =>
    decode({ time: { format: 'epoch', unit } }, `{"ts":${json}}`)

  it.each([
    ['s', '1735689600.123456'],
    ['ms', '1735689600123'],
    ['ms', '1735689600123.999'],
    ['ms', '1.735689600123e12'],
    ['us', '1735689600123456'],
    ['ns', '1735689600123456789'],
  ] as const)('decodes an epoch in %s: %s', (unit, json) => {
    expect(epoch(unit, json)).toMatchObject({ time: 1735689600123 })
  })

  it('floors epochs, also below zero', () => {
    const early = (unit: 's' | 'us' | 'ns', json: string) =>
      decode({ time: { format: 'epoch', unit, notBefore: '1900-01-01T00:00:00Z' } }, `{"ts":${json}}`)
    expect(early('s', '-0.0001')).toMatchObject({ time: -1 })
    expect(early('ns', '-1')).toMatchObject({ time: -1 })
    expect(early('us', '-2000')).toMatchObject({ time: -2 })
  })

  it.each([
    [{}, '1735689600000', 'wrong_type'],
    [{}, 'true', 'wrong_type'],
    [{}, '["2026-01-31T10:00:00Z"]', 'wrong_type'],
    [{}, '"2026-01-31"', 'bad_time'],
    [{}, '"2026-01-31T10:00:00"', 'bad_time'],
    [{}, '"2016-12-31T23:59:60Z"', 'bad_time'],
    [{}, '"9999-12-31T23:59:59-00:01"', 'bad_time'],
    [{}, '"2026-01-31T10:00:00Z\\u0000"', 'bad_time'],
    [{}, '"\\ud800"', 'bad_time'],
    [{}, 'null', 'missing_field'],
    [{ format: 'epoch' }, '"1735689600000"', 'wrong_type'],
    [{ format: 'iso8601' }, '1735689600000', 'wrong_type'],
    [{ format: 'iso8601' }, '"29/11/2026 12:00:00"', 'bad_time'],
    [{ format: 'iso8601' }, '"1796040000"', 'bad_time'],
    [{ format: 'iso8601' }, '"2026-11-29"', 'bad_time'],
    [{ formats: ['epoch'] }, '"12:00"', 'bad_time'],
    [{ formats: ['iso8601', 'epoch'] }, 'true', 'wrong_type'],
    [{ formats: ['dd/MM/yyyy', 'MM/dd/yyyy'], zone: 'UTC' }, '"02/13/2026"', 'bad_time'],
    [{ format: 'epoch' }, '{}', 'wrong_type'],
    [{ format: 'epoch' }, '253402300800000', 'bad_time'],
    [{ format: 'epoch' }, '1e400', 'bad_time'],
    [{ format: 'epoch' }, 'null', 'missing_field'],
  ] as const)('refuses, with time spec %j, the value %s as %s', (time, json, reason) => {
    expect(decode({ time }, `{"ts":${json}}`)).toEqual({ reason, field: 'ts' })
  })

  it('names a missing time by its path', () => {
    expect(decode({ time: { path: 'meta.at' } }, { meta: {} })).toEqual({ reason: 'missing_field', field: 'meta.at' })
  })

  it.each([
    ['bad_time', '1969-12-31T23:59:59.999Z', {}],
    ['bad_time', '0001-01-01T00:00:00Z', {}],
    ['bad_time', '2019-12-31T23:59:59.999Z', { notBefore: '2020-01-01T00:00:00Z' }],
    [0, '1970-01-01T00:00:00Z', {}],
    [-62_135_596_800_000, '0001-01-01T00:00:00Z', { notBefore: '0001-01-01T00:00:00Z' }],
  ])('decodes to %s the time %s with %j', (expected, ts, time) => {
    const found = decode({ time }, { ts })
    expect('time' in found ? found.time : found.reason).toBe(expected)
  })

  it('refuses a record timestamp before notBefore', () => {
    const time = { path: undefined, format: 'record-timestamp', notBefore: '2020-01-01T00:00:00Z' } as const
    expect(decode({ time }, {}, Date.parse(time.notBefore) - 1)).toMatchObject({ reason: 'bad_time' })
    expect(decode({ time }, {}, Date.parse(time.notBefore))).toMatchObject({ time: Date.parse(time.notBefore) })
  })

  it('uses the declared zone for a time without one', () => {
    expect(decode({ time: { zone: '-03:00' } }, { ts: '2026-01-31T07:00:00.123' })).toMatchObject({ time: TIME })
  })

  it('accepts a time ahead of the record by at most maxFutureSkew', () => {
    expect(decode(SALE, GOOD, TIME - MAX_SKEW)).toMatchObject({ time: TIME })
    expect(decode(SALE, GOOD, TIME - MAX_SKEW - 1)).toEqual({ reason: 'future_timestamp', field: 'ts' })
    const last = { ts: '9999-12-31T23:59:59.999Z' }
    expect(decode({}, last)).toEqual({ reason: 'future_timestamp', field: 'ts' })
    expect(decode({}, last, Date.parse(last.ts))).toMatchObject({ time: 253402300799999 })
  })
})

describe('a dead record', () => {
  it.each([
    ['an empty value', '', 'empty_value'],
    ['blanks', '  ', 'not_json'],
    ['a truncated object', '{"id":"a"', 'not_json'],
    ['a truncated string', '{"id":"a', 'not_json'],
    ['a trailing comma', '{"id":"a",}', 'not_json'],
    ['a second value', '{} {}', 'not_json'],
    ['a comment', '{}//', 'not_json'],
    ['single quotes', "{'id':1}", 'not_json'],
    ['a bare key', '{id:1}', 'not_json'],
    ['NaN', '{"id":NaN}', 'not_json'],
    ['+1', '{"id":+1}', 'not_json'],
    ['.5', '{"id":.5}', 'not_json'],
    ['01', '{"id":01}', 'not_json'],
    ['a raw line feed in a string', '{"id":"a\nb"}', 'not_json'],
    ['an unknown escape', '{"id":"\\x"}', 'not_json'],
    ['a byte order mark', `\uFEFF${JSON.stringify(GOOD)}`, 'not_json'],
    ['a no-break space', `${JSON.stringify(GOOD)}\u00A0`, 'not_json'],
    ['a NUL after the event', `${JSON.stringify(GOOD)}\0`, 'not_json'],
    ['an array', '[{}]', 'not_an_object'],
    ['null', 'null', 'not_an_object'],
    ['a number', '7', 'not_an_object'],
    ['a string', '"{}"', 'not_an_object'],
  ])('refuses %s', (_, text, reason) => {
    expect(decode(SALE, text)).toEqual({ reason, field: null })
  })

  it('refuses bytes that are not UTF-8 outside strings', () => {
    expect(decode(SALE, bytesOf(JSON.stringify(GOOD), [0xff]))).toEqual({ reason: 'not_json', field: null })
    expect(decode(SALE, bytesOf('{"id":"\\', [0xff], '"}'))).toEqual({ reason: 'not_json', field: null })
  })

  it.each([
    ['numbers', '0,', 1],
    ['arrays', '[],', 2],
    ['objects', '{},', 2],
    ['members', '{"a":0},', 2],
  ])('refuses more than 500,000 values: %s', (_what, unit, values) => {
    const count = JSON.stringify(GOOD).split(',').length
    const most = Math.floor((500_000 - count - 3) / values)
    const extra = (units: number) => raw('extra', `[${unit.repeat(units)}0]`)
    expect(extra(most)).toMatchObject({ time: TIME })
    expect(extra(most + 4)).toEqual({ reason: 'too_many_values', field: null })
    expect(sale({ note: ',[{'.repeat(200_000) })).toMatchObject({ time: TIME })
  })

  it('refuses more than 500 levels of nesting, in JSON and in other text', () => {
    const nested = (levels: number) => raw('extra', '['.repeat(levels) + ']'.repeat(levels))
    expect(nested(499)).toMatchObject({ time: TIME })
    expect(nested(500)).toEqual({ reason: 'too_deep', field: null })
    expect(nested(1_000_000)).toEqual({ reason: 'too_deep', field: null })
    expect(decode(SALE, '{"a":'.repeat(501))).toEqual({ reason: 'too_deep', field: null })
    expect(decode(SALE, '{"a":'.repeat(500))).toEqual({ reason: 'not_json', field: null })
    // Escaped quotes do not end the string. The parser reads them, because the field is read.
    expect(sale({ note: '[{"'.repeat(600) })).toMatchObject({ time: TIME })
  })

  it.each([
    ['undefined', undefined, 'missing_id'],
    ['null', 'null', 'missing_id'],
    ['a fraction', '1.0', 'wrong_type'],
    ['an exponent', '1e3', 'wrong_type'],
    ['true', 'true', 'wrong_type'],
    ['an array', '["a"]', 'wrong_type'],
    ['an object', '{}', 'wrong_type'],
    ['U+0000', '"\\u0000"', 'bad_string'],
    ['a lone surrogate', '"\\udc00"', 'bad_string'],
  ])('refuses an id that is %s', (_, json, reason) => {
    const result = json === undefined ? without('id') : raw('id', json)
    expect(result).toEqual({ reason, field: 'id' })
  })

  it.each([
    ['category', undefined, 'missing_field'],
    ['category', 'null', 'missing_field'],
    ['category', '5', 'wrong_type'],
    ['category', 'true', 'wrong_type'],
    ['category', '["books"]', 'wrong_type'],
    ['category', '{"a":1}', 'wrong_type'],
    ['category', '"a\\u0000b"', 'bad_string'],
    ['category', '"\\ud83d"', 'bad_string'],
    ['category', '"\\udc00\\ud83d"', 'bad_string'],
    ['note', '"\\ud83dx"', 'bad_string'],
    ['amount', undefined, 'missing_field'],
    ['amount', 'true', 'wrong_type'],
    ['amount', '[1]', 'wrong_type'],
    ['amount', '""', 'bad_number'],
    ['amount', '"12,50"', 'bad_number'],
    ['amount', '"+1"', 'bad_number'],
    ['amount', '" 1"', 'bad_number'],
    ['amount', '".5"', 'bad_number'],
    ['amount', '"NaN"', 'bad_number'],
    ['amount', '"1e"', 'bad_number'],
    ['amount', '1.005', 'too_many_decimals'],
    ['amount', '"0.001"', 'too_many_decimals'],
    ['amount', '1e-400', 'too_many_decimals'],
    ['amount', '1e400', 'overflow'],
    ['amount', `1${'0'.repeat(30)}`, 'overflow'],
    ['quantity', '"2"', 'wrong_type'],
    ['quantity', '2.5', 'too_many_decimals'],
    ['online', '"true"', 'wrong_type'],
    ['online', '1', 'wrong_type'],
    ['rate', '0.0001', 'too_many_decimals'],
  ])('refuses field %s with value %s as %s', (key, json, reason) => {
    const result = json === undefined ? without(key as keyof typeof GOOD) : raw(key, json)
    expect(result).toEqual({ reason, field: key })
  })

  it('refuses a used string that is not UTF-8', () => {
    const [before, after] = JSON.stringify({ ...GOOD, category: '@' }).split('@') as [string, string]
    const dead = { reason: 'bad_string', field: 'category' }
    for (const junk of [
      [0xff],
      [0x80],
      [0xc3],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [0xc0, 0xaf],
      [0xf4, 0x90, 0x80, 0x80],
    ])
      expect(decode(SALE, bytesOf(before, 'a', junk, after))).toEqual(dead)
    // Next to a U+FFFD of the input, and after an escaped surrogate with which it must not pair.
    expect(decode(SALE, bytesOf(before, '\uFFFD', [0xff], after))).toEqual(dead)
    expect(decode(SALE, bytesOf(before, '\\ud83d', [0x80], after))).toEqual(dead)
    expect(decode(SALE, bytesOf(before, [0x80], '\\ude00', after))).toEqual(dead)
  })

  it('names the field at fault by its path', () => {
    const spec: EventSpec = { fields: [{ name: 'city', path: 'shop.city' }] }
    expect(decode(spec, { ts: GOOD.ts, shop: {} })).toEqual({ reason: 'missing_field', field: 'shop.city' })
  })

  it('refuses keys of more than 1,024 bytes together', () => {
    const key = (category: string, country: string) => sale({ category, customer: { address: { country } } })
    expect(key('c'.repeat(1000), 'd'.repeat(24))).toMatchObject({ keys: { category: 'c'.repeat(1000) } })
    expect(key('c'.repeat(1000), 'd'.repeat(25))).toEqual({ reason: 'key_too_long', field: 'category' })
    expect(key('ab', 'ü'.repeat(512))).toEqual({ reason: 'key_too_long', field: 'customer.address.country' })
    expect(key('x'.repeat(10_000), '')).toEqual({ reason: 'key_too_long', field: 'category' })
    expect(sale({ note: 'x'.repeat(10_000) })).toMatchObject({ time: TIME })
  })

  it('reports the first fault', () => {
    const all = { id: 1.5, ts: 'x', category: 5, amount: 'y' }
    expect(sale(all)).toEqual({ reason: 'wrong_type', field: 'id' })
    expect(sale({ ...all, id: 1 })).toEqual({ reason: 'bad_time', field: 'ts' })
    expect(sale({ ...all, id: 1, ts: '2027-01-01T00:00:00Z' })).toEqual({ reason: 'future_timestamp', field: 'ts' })
    expect(sale({ ...all, id: 1, ts: GOOD.ts })).toEqual({ reason: 'wrong_type', field: 'category' })
    const longKey = { category: 'x'.repeat(2000) }
    expect(sale({ ...longKey, amount: 'y' })).toEqual({ reason: 'bad_number', field: 'amount' })
    expect(sale(longKey)).toEqual({ reason: 'key_too_long', field: 'category' })
  })
})

describe('an exploded record', () => {
  const ORDER: EventSpec = {
    fields: [{ name: 'store' }],
    explode: {
      path: 'order.lines',
      maxLines: 3,
      fields: [
        { name: 'product', path: 'item.sku' },
        { name: 'price', type: 'decimal', scale: 2 },
        { name: 'pieces', type: 'number', default: '1' },
      ],
    },
    groupBys: [['store', 'product']],
  }
  const order = (lines: unknown, store: unknown = 'Graz') => ({ ts: GOOD.ts, store, order: { lines } })

  it('returns the lines one by one, with the fields of the event', () => {
    const compiled = compiledFor(ORDER)
    const strings = new Interner()
    const decoder = new Decoder(compiled, strings)
    const lines = [
      { item: { sku: 'pen' }, price: '1.20', pieces: 3 },
      { item: { sku: 'ink' }, price: 4 },
    ]
    const bytes = Buffer.from(JSON.stringify(order(lines)))
    expect(decoder.decode(bytes, 0, bytes.length, TIME)).toBeNull()
    expect(decoder.lines).toBe(2)
    const seen = [0, 1, 0].map(line => {
      decoder.selectLine(line)
      return [0, 1].map(i => strings.text(decoder.codes[i]!)).concat([2, 3].map(i => decoder.text(i)!))
    })
    expect(seen).toEqual([
      ['Graz', 'pen', '1.2', '3'],
      ['Graz', 'ink', '4', '1'],
      ['Graz', 'pen', '1.2', '3'],
    ])
    expect(decoder.amounts.slice(2)).toEqual([120, 3])
  })

  const line = { item: { sku: 'pen' }, price: 1 }
  it.each([
    ['missing lines', undefined, 'missing_field', 'order.lines'],
    ['null instead of lines', null, 'missing_field', 'order.lines'],
    ['an object instead of lines', {}, 'wrong_type', 'order.lines'],
    ['a string instead of lines', 'pen', 'wrong_type', 'order.lines'],
    ['no lines', [], 'empty_lines', 'order.lines'],
    ['too many lines, before it reads them', [7, line, line, line], 'too_many_lines', 'order.lines'],
    ['a line that is no object', [line, 7], 'wrong_type', 'order.lines[1]'],
    ['a line that is null', [line, null], 'wrong_type', 'order.lines[1]'],
    ['a line that is an array', [[line]], 'wrong_type', 'order.lines[0]'],
    ['one bad line', [line, { ...line, price: 0.001 }], 'too_many_decimals', 'order.lines[1].price'],
    ['a line without product', [line, { price: 1 }], 'missing_field', 'order.lines[1].item.sku'],
    [
      'a long key in one line',
      [line, { ...line, item: { sku: 'x'.repeat(1021) } }],
      'key_too_long',
      'order.lines[1].item.sku',
    ],
  ])('refuses an exploded record with %s', (_, lines, reason, field) => {
    expect(decode(ORDER, order(lines))).toEqual({ reason, field })
  })

  it('sets no limit of lines in a spec that was stored without one', () => {
    const compiled = compiledFor(ORDER)
    const { spec } = compiled
    const { maxLines: _, ...explode } = spec.event.explode!
    const stored = { ...compiled, spec: { ...spec, event: { ...spec.event, explode } } } as CompiledSpec
    const decoder = new Decoder(stored, new Interner())
    const bytes = Buffer.from(JSON.stringify(order(Array(20_000).fill(line))))
    expect(decoder.decode(bytes, 0, bytes.length, TIME)).toBeNull()
    expect(decoder.lines).toBe(20_000)
  })

  it("checks the event's fields before its lines", () => {
    expect(decode(ORDER, order([], 5))).toEqual({ reason: 'wrong_type', field: 'store' })
  })
})

it('keeps nothing of a dead record for the next one', () => {
  const compiled = compiledFor(SALE)
  const strings = new Interner()
  const decoder = new Decoder(compiled, strings)
  const records = [GOOD, { ...GOOD, note: 'n', amount: 'bad' }, GOOD, { ...GOOD, category: 'x'.repeat(9999) }, GOOD]
  const faults = records.map(record => {
    const bytes = Buffer.from(JSON.stringify(record))
    return decoder.decode(bytes, 0, bytes.length, TIME)?.reason ?? [decoder.text(5), decoder.amounts[2]]
  })
  expect(faults).toEqual([[null, 1250], 'bad_number', [null, 1250], 'key_too_long', [null, 1250]])
  expect(strings.bytes).toBeLessThan(1000)
})
