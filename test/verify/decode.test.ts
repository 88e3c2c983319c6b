/** Section 7 of the contract: which records are dead, why, and which fault comes first. */
import Big from 'big.js'
import { describe, expect, it } from 'vitest'
import { canonical, decode, Fault } from '#verify/decode.ts'
import type { Rules } from '#verify/spec.ts'
import { BASE, specOf } from './support.ts'

const MINUTE = 60_000

const { rules } = specOf({
  event: {
    id: 'sale.id',
    time: { path: 'at' },
    fields: [
      { name: 'category' },
      { name: 'amount', path: 'price.amount', type: 'decimal' },
      { name: 'quantity', type: 'number' },
      { name: 'gift', type: 'boolean', default: 'false' },
      { name: 'note', optional: true },
    ],
  },
  watermark: { maxFutureSkew: '1m' },
  deduplication: {},
  aggregations: [
    { name: 'one', groupBy: ['category', 'quantity'], measures: [{ name: 'orders', op: 'count' }] },
    { name: 'two', groupBy: ['category'], measures: [{ name: 'orders', op: 'count' }] },
  ],
})

const VALID = {
  sale: { id: 'a' },
  at: '1970-01-01T00:00:00Z',
  category: 'books',
  price: { amount: 12.5 },
  quantity: 2,
}

/** Returns `VALID` as JSON, with some top-level members replaced by JSON source or left out. */
function text(changes: Record<string, string | undefined> = {}): string {
  const members = new Map(Object.entries(VALID).map(([key, value]): [string, string] => [key, JSON.stringify(value)]))
  for (const [key, source] of Object.entries(changes)) {
    if (source === undefined) members.delete(key)
    else members.set(key, source)
  }
  return `{${[...members].map(([key, source]) => `${JSON.stringify(key)}:${source}`).join(',')}}`
}

function fault(value: string | Buffer | null, under: Rules = rules): [string, string | null] | null {
  try {
    decode(typeof value === 'string' ? Buffer.from(value) : value, 0, under)
    return null
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return [error.reason, error.field]
  }
}

describe('decode of a valid record', () => {
  it('decodes the id, time and fields of a record', () => {
    expect(decode(Buffer.from(text()), 0, rules)).toEqual({
      id: 'a',
      time: 0,
      lines: [{ category: 'books', amount: new Big('12.5'), quantity: new Big(2), gift: false, note: null }],
    })
  })

  it.each([
    ['an integer id', { sale: '{"id":17}' }],
    ['an empty id', { sale: '{"id":""}' }],
    ['an empty string', { category: '""' }],
    ['a decimal as text', { price: '{"amount":"-0.50"}' }],
    ['a decimal as text with an exponent', { price: '{"amount":"5E-1"}' }],
    ['zeros beyond the scale', { price: '{"amount":1.250000}' }],
    ['30 integer digits', { price: `{"amount":${'9'.repeat(30)}.99}` }],
    ['zero with a large exponent', { price: '{"amount":0e999}' }],
    ['a whole number with an exponent', { quantity: '1e2' }],
    ['a null in a field with a default', { gift: 'null' }],
    ['a null in an optional field', { note: 'null' }],
    ['a lone surrogate in an unused string', { other: '"\\ud800"' }],
    ['a time exactly as far ahead as allowed', { at: '"1970-01-01T00:01:00Z"' }],
    ['a key of 1024 bytes', { category: JSON.stringify(`${'é'.repeat(511)}x`) }],
    ['nesting of 500 levels', { other: '['.repeat(499) + ']'.repeat(499) }],
  ])('accepts a record with %s', (_, changes) => {
    expect(fault(text(changes))).toBeNull()
  })
})

describe('decode of a dead record', () => {
  it.each<[string, [string, string | null], string | Buffer | null]>([
    ['a tombstone', ['tombstone', null], null],
    ['an empty value', ['empty_value', null], ''],
    ['nesting of 501 levels', ['too_deep', null], text({ other: '['.repeat(500) + ']'.repeat(500) })],
    ['500,001 values', ['too_many_values', null], `[${'0,'.repeat(499_999)}0]`],
    ['text', ['not_json', null], 'hello'],
    ['a byte order mark', ['not_json', null], `\ufeff${text()}`],
    ['an array', ['not_an_object', null], '[]'],
    ['null', ['not_an_object', null], 'null'],
    ['no id', ['missing_id', 'sale.id'], text({ sale: '{}' })],
    ['a null id', ['missing_id', 'sale.id'], text({ sale: '{"id":null}' })],
    ['an id path through a string', ['missing_id', 'sale.id'], text({ sale: '"id"' })],
    ['an id path through an array', ['missing_id', 'sale.id'], text({ sale: '[]' })],
    ['a fractional id', ['wrong_type', 'sale.id'], text({ sale: '{"id":1.5}' })],
    ['a boolean id', ['wrong_type', 'sale.id'], text({ sale: '{"id":true}' })],
    ['an id with U+0000', ['bad_string', 'sale.id'], text({ sale: '{"id":"\\u0000"}' })],
    ['no time', ['missing_field', 'at'], text({ at: undefined })],
    ['a null time', ['missing_field', 'at'], text({ at: 'null' })],
    ['a number for RFC 3339', ['wrong_type', 'at'], text({ at: '0' })],
    ['a time without zone', ['bad_time', 'at'], text({ at: '"1970-01-01T00:00:00"' })],
    ['a leap second', ['bad_time', 'at'], text({ at: '"2016-12-31T23:59:60Z"' })],
    ['a time too far ahead', ['future_timestamp', 'at'], text({ at: '"1970-01-01T00:01:00.001Z"' })],
    ['no group-by value', ['missing_field', 'category'], text({ category: undefined })],
    ['a null group-by value', ['missing_field', 'category'], text({ category: 'null' })],
    ['a number for a string', ['wrong_type', 'category'], text({ category: '1' })],
    ['a lone surrogate', ['bad_string', 'category'], text({ category: '"\\ud800"' })],
    ['invalid UTF-8', ['bad_string', 'category'], Buffer.from(text({ category: '"\u00ff"' }), 'latin1')],
    ['no amount', ['missing_field', 'amount'], text({ price: '{}' })],
    ['a path through a number', ['missing_field', 'amount'], text({ price: '7' })],
    ['a decimal with a blank', ['bad_number', 'amount'], text({ price: '{"amount":" 1"}' })],
    ['a decimal with a plus', ['bad_number', 'amount'], text({ price: '{"amount":"+1"}' })],
    ['a decimal without integer digits', ['bad_number', 'amount'], text({ price: '{"amount":".5"}' })],
    ['a decimal that is empty', ['bad_number', 'amount'], text({ price: '{"amount":""}' })],
    ['a decimal NaN', ['bad_number', 'amount'], text({ price: '{"amount":"NaN"}' })],
    ['a decimal in hexadecimal', ['bad_number', 'amount'], text({ price: '{"amount":"0x1"}' })],
    ['a decimal that is a boolean', ['wrong_type', 'amount'], text({ price: '{"amount":true}' })],
    ['a decimal that is an array', ['wrong_type', 'amount'], text({ price: '{"amount":[1]}' })],
    ['a third decimal', ['too_many_decimals', 'amount'], text({ price: '{"amount":1.005}' })],
    ['decimals by exponent', ['too_many_decimals', 'amount'], text({ price: '{"amount":1e-400}' })],
    ['31 integer digits', ['overflow', 'amount'], text({ price: `{"amount":1${'0'.repeat(30)}}` })],
    ['a large exponent', ['overflow', 'amount'], text({ price: '{"amount":1e400}' })],
    ['a negative number with a large exponent', ['overflow', 'amount'], text({ price: '{"amount":"-1e30"}' })],
    ['a numeric string for a number', ['wrong_type', 'quantity'], text({ quantity: '"2"' })],
    ['a fraction for a number of scale 0', ['too_many_decimals', 'quantity'], text({ quantity: '2.5' })],
    ['a string for a boolean', ['wrong_type', 'gift'], text({ gift: '"true"' })],
    ['an optional field of the wrong type', ['wrong_type', 'note'], text({ note: '5' })],
    ['a key above 1024 bytes', ['key_too_long', 'category'], text({ category: JSON.stringify('é'.repeat(512)) })],
  ])('rejects a record: %s: %j', (_, expected, value) => {
    expect(fault(value)).toEqual(expected)
  })

  it.each([
    ['a numeric string', '"0"', 'wrong_type'],
    ['a year above 9999', '1e15', 'bad_time'],
    ['nothing', 'null', 'missing_field'],
  ])('rejects a wrong epoch time: %s', (_, at, reason) => {
    const { rules } = specOf({
      event: { ...BASE.event, fields: [{ name: 'amount', type: 'decimal' }] },
      aggregations: [],
    })
    expect(fault(`{"at":${at},"amount":1}`, rules)).toEqual([reason, 'at'])
  })
})

describe('decode of a record with several faults', () => {
  it.each<[string, [string, string | null], string]>([
    ['depth before syntax', ['too_deep', null], '['.repeat(501)],
    ['syntax before anything inside', ['not_json', null], `${text({ sale: '{}' })}}`],
    ['id before time', ['missing_id', 'sale.id'], text({ sale: '{}', at: 'null' })],
    ['time before fields', ['bad_time', 'at'], text({ at: '""', category: '1' })],
    ['the future before fields', ['future_timestamp', 'at'], text({ at: '"1970-01-01T01:00:00Z"', category: '1' })],
    ['fields in the order of the spec', ['wrong_type', 'category'], text({ price: '{}', category: '1' })],
  ])('reports the first fault: %s', (_, expected, value) => {
    expect(fault(value)).toEqual(expected)
  })
})

describe('exploded records', () => {
  const { rules: exploded } = specOf({
    event: {
      time: { path: 'at', format: 'epoch' },
      fields: [{ name: 'store' }],
      explode: { path: 'cart.lines', maxLines: 3, fields: [{ name: 'sku' }, { name: 'amount', type: 'decimal' }] },
    },
    aggregations: [{ name: 'one', groupBy: ['sku'], measures: [{ name: 'orders', op: 'count' }] }],
  })
  const cart = (lines: string) => `{"at":0,"store":"x","cart":{"lines":${lines}}}`

  it('adds the fields of the event to every exploded line', () => {
    const value = cart('[{"sku":"a","amount":1},{"sku":"b","amount":"2"}]')
    expect(decode(Buffer.from(value), 0, exploded).lines).toEqual([
      { store: 'x', sku: 'a', amount: new Big(1) },
      { store: 'x', sku: 'b', amount: new Big(2) },
    ])
  })

  it.each<[string, [string, string], string]>([
    ['an absent array', ['missing_field', 'cart.lines'], '{"at":0,"store":"x"}'],
    ['an empty array', ['empty_lines', 'cart.lines'], cart('[]')],
    ['too many lines, before it reads them', ['too_many_lines', 'cart.lines'], cart('[7,7,7,7]')],
    ['no array', ['wrong_type', 'cart.lines'], cart('{}')],
    ['a line that is no object', ['wrong_type', 'cart.lines'], cart('[{"sku":"a","amount":1},7]')],
    ['one bad line', ['missing_field', 'sku'], cart('[{"sku":"a","amount":1},{"amount":1}]')],
    ['the first bad line', ['wrong_type', 'amount'], cart('[{"sku":"a","amount":true},{}]')],
  ])('rejects an exploded record with %s', (_, expected, value) => {
    expect(fault(value, exploded)).toEqual(expected)
  })
})

describe('decode with options that accept more', () => {
  const { rules: lenient } = specOf({
    event: {
      id: 'id',
      integralIds: true,
      time: { path: 'at', format: 'epoch' },
      fields: [
        { name: 'amount', type: 'decimal', scale: 2, rounding: 'half-even', blankAsNull: true, default: '7' },
        { name: 'note', blankAsNull: true, optional: true },
      ],
    },
    deduplication: {},
    aggregations: [],
  })
  const read = (amount: string, id = '1', note = '"n"') =>
    decode(Buffer.from(`{"at":0,"id":${id},"amount":${amount},"note":${note}}`), 0, lenient)
  const amountOf = (text: string) => canonical(read(text).lines[0]!.amount!)

  it.each([
    ['455.20000000000005', '455.2'],
    ['"0.30000000000000004"', '0.3'],
    ['1299.989990234375', '1299.99'],
    ['0.025', '0.02'],
    ['-0.001', '0'],
    ['1e-400', '0'],
    ['""', '7'],
    ['" \\t"', '7'],
    ['null', '7'],
  ])('reads the amount %s as %s', (text, expected) => {
    expect(amountOf(text)).toBe(expected)
  })

  it('reads 17850.0 and 1.785e4 as the id 17850, and blank text as null', () => {
    expect([read('1', '17850.0').id, read('1', '1.785e4').id, read('1', '-0.0').id]).toEqual(['17850', '17850', '0'])
    expect(read('1', '1', '" "').lines[0]!.note).toBeNull()
    expect(() => read('1', '1.5')).toThrow('wrong_type')
    expect(() => read('1', '1e30')).toThrow('wrong_type')
    expect(() => read(`${'9'.repeat(30)}.995`)).toThrow('overflow')
  })
})

it('needs no id without deduplication', () => {
  const { rules } = specOf({ event: { ...BASE.event, id: 'id' } })
  expect(decode(Buffer.from(`{"at":${MINUTE}}`), 0, rules)).toMatchObject({ id: null, time: MINUTE })
})
