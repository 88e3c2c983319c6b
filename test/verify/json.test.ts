import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '#test/support/properties.ts'
import { type Json, JsonNumber, JsonString, measure, parseJson, textOf } from '#verify/json.ts'

/** Converts the reader's values to those that JSON.parse returns. */
function plain(json: Json): unknown {
  if (json instanceof JsonNumber) return Number(json.text)
  if (json instanceof JsonString) return textOf(json)
  if (Array.isArray(json)) return json.map(plain)
  return json instanceof Map ? Object.fromEntries([...json].map(([key, value]) => [key, plain(value)])) : json
}

describe('parseJson', () => {
  it('parses the output of JSON.stringify', () => {
    const wellFormed = fc.string({ unit: 'binary' }).filter(text => !text.includes('\0') && text.isWellFormed())
    check(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), wellFormed, (value, text) => {
        const written = JSON.stringify([text, value]).replaceAll('\\u0000', ' ')
        expect(plain(parseJson(Buffer.from(written))!)).toEqual(JSON.parse(written))
      }),
    )
  })

  it.each([
    '',
    ' ',
    '{',
    '{"a"}',
    '{"a":1,}',
    '[1,]',
    '[1 2]',
    '{"a":1}x',
    '01',
    '1.',
    '.5',
    '+1',
    '-',
    '1e',
    'NaN',
    'Infinity',
    'nul',
    "{'a':1}",
    '"\\x"',
    '"\\u12g4"',
    '"open',
    '"a\nb"',
    '\ufeff{}',
  ])('rejects %j, as JSON.parse does', text => {
    expect(() => JSON.parse(text)).toThrow()
    expect(parseJson(Buffer.from(text))).toBeUndefined()
  })

  it('keeps the last of duplicate keys, also when one is escaped', () => {
    expect(plain(parseJson(Buffer.from('{"a":1,"\\u0061":2}'))!)).toEqual({ a: 2 })
  })

  it('keeps the source text of numbers', () => {
    const number = parseJson(Buffer.from('12345678901234567890.10')) as JsonNumber
    expect(number.text).toBe('12345678901234567890.10')
  })

  it('treats __proto__ as an ordinary key', () => {
    expect((parseJson(Buffer.from('{"__proto__":1}')) as Map<string, Json>).get('__proto__')).toEqual(
      new JsonNumber('1'),
    )
  })
})

describe('textOf', () => {
  const read = (bytes: Buffer) => textOf(parseJson(bytes) as JsonString)
  const quoted = (...bytes: number[]) => Buffer.from([0x22, ...bytes, 0x22])

  it('decodes escapes and UTF-8 side by side', () => {
    expect(read(Buffer.from('"é\\u00e9\\ud83d\\ude00\\n\\/"'))).toBe('éé😀\n/')
  })

  it('keeps a byte order mark inside a string', () => {
    expect(read(Buffer.from('"\ufeffa"'))).toBe('\ufeffa')
  })

  it.each([
    ['invalid UTF-8', quoted(0xff)],
    ['an overlong encoding', quoted(0xc0, 0xaf)],
    ['a surrogate in UTF-8', quoted(0xed, 0xa0, 0x80)],
    ['a truncated sequence', quoted(0xc3)],
    ['a lone surrogate', Buffer.from('"\\ud83d"')],
    ['surrogates in the wrong order', Buffer.from('"\\ude00\\ud83d"')],
    ['U+0000', Buffer.from('"a\\u0000"')],
  ])('rejects a string with %s', (_, bytes) => {
    expect(parseJson(bytes)).toBeInstanceOf(JsonString)
    expect(read(bytes)).toBeUndefined()
  })
})

describe('the number of values', () => {
  it.each([
    ['{}', 2],
    ['{"a":[1,{"b":2}],"c":[[]]}', 8],
    ['"[,{"', 1],
    ['["\\",[", "\\\\", [1]]', 5],
    ['"never closed,[', 1],
  ])('counts in %s %i commas and opening brackets outside strings, plus one', (text, values) => {
    expect(measure(Buffer.from(text)).values).toBe(values)
  })
})

describe('nesting', () => {
  it.each([
    ['{}', 1],
    ['{"a":[1,{"b":2}],"c":[[]]}', 3],
    ['"[[[["', 0],
    ['["\\"[[", "\\\\", [1]]', 2],
    ['[[[', 3],
  ])('measures the nesting of %s as %i', (text, depth) => {
    expect(measure(Buffer.from(text)).nesting).toBe(depth)
  })
})
