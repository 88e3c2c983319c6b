import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyError, parseBody } from '#producer/serve/body.ts'
import { NumberText } from '#producer/serve/exact-checks.ts'

const blanks = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 })
/** Valid JSON with blanks, and with numbers that JavaScript would print differently. */
const written = fc.oneof(
  fc.json(),
  fc.constantFrom(
    '{"a":1.10}',
    '1e2',
    '{"x":"],[\\""}',
    '{"y":"\\\\"}',
    '"{"',
    '[[],{"a":[1,2]}]',
    '123456789012345678901234567890',
    '{"é":"🙂"}',
  ),
)

it('keeps the bytes of each element of an array', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(blanks, written, blanks), { minLength: 1, maxLength: 6 }),
      blanks,
      blanks,
      (elements, before, after) => {
        const body = Buffer.from(`${before}[${elements.map(parts => parts.join('')).join(',')}]${after}`)
        const { events, isBatch } = parseBody(body)
        expect(isBatch).toBe(true)
        expect(events.map(({ bytes }) => bytes.toString())).toEqual(elements.map(([, text]) => text.trim()))
        expect(events.map(({ plain }) => plain)).toEqual(elements.map(([, text]) => JSON.parse(text)))
      },
    ),
  )
})

it('keeps the bytes of a single event', () => {
  const { events, isBatch } = parseBody(Buffer.from(' {"amount": 1.10,\n "n": 5} \n'))
  expect(isBatch).toBe(false)
  expect(events[0]!.bytes.toString()).toBe('{"amount": 1.10,\n "n": 5}')
  expect(events[0]!.exact).toEqual({ amount: new NumberText('1.10'), n: new NumberText('5') })
})

const nested = (depth: number) => '['.repeat(depth - 1) + ']'.repeat(depth - 1)

describe('parseBody', () => {
  it.each([
    ['nothing', '', /not JSON/],
    ['half an object', '{"a":', /not JSON/],
    ['two objects', '{} {}', /not JSON/],
    ['a byte order mark', '\uFEFF{}', /not JSON/],
    ['an empty array', ' [ ] ', /the array is empty; send at least one sale/],
    ['an event nested too deep', `{"a":${nested(501)}}`, /more than 500 levels/],
    ['an event nested too deep in an array', `[{"a":${nested(501)}}]`, /more than 500 levels/],
    ['nesting that would overflow the stack', '['.repeat(1_000_000), /more than 500 levels/],
  ])('refuses %s', (_name, body, message) => {
    expect(() => parseBody(Buffer.from(body))).toThrow(BodyError)
    expect(() => parseBody(Buffer.from(body))).toThrow(message)
  })

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parseBody(Buffer.from('{"a":"caf\u00e9"}', 'latin1'))).toThrow(/UTF-8/)
  })
})

it('accepts 500 levels in a single event and in an array', () => {
  expect(parseBody(Buffer.from(`{"a":${nested(500)}}`)).events.length).toBe(1)
  expect(parseBody(Buffer.from(`[{"a":${nested(500)}},{}]`)).events.length).toBe(2)
})
