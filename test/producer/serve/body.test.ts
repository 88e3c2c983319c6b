import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEvent, splitBody } from '#producer/serve/body.ts'
import { NumberText } from '#producer/serve/exact-json.ts'
import { Refusal } from '#producer/serve/refusal.ts'
import { check } from '#test/support/properties.ts'

/** Parses all events of a body of at most 1000. */
function parse(body: Buffer | string) {
  const { events, isBatch } = splitBody(Buffer.from(body), 1000)
  return {
    isBatch,
    events: [...events].map((bytes, i) => ({ bytes, ...parseEvent(bytes, isBatch ? i : null, () => true) })),
  }
}

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
  check(
    fc.property(
      fc.array(fc.tuple(blanks, written, blanks), { minLength: 1, maxLength: 6 }),
      blanks,
      blanks,
      (elements, before, after) => {
        const body = Buffer.from(`${before}[${elements.map(parts => parts.join('')).join(',')}]${after}`)
        const { events, isBatch } = parse(body)
        expect(isBatch).toBe(true)
        expect(events.map(({ bytes }) => bytes.toString())).toEqual(elements.map(([, text]) => text.trim()))
        expect(events.map(({ plain }) => plain)).toEqual(elements.map(([, text]) => JSON.parse(text)))
      },
    ),
  )
})

it('keeps the bytes of a single event', () => {
  const { events, isBatch } = parse(Buffer.from(' {"amount": 1.10,\n "n": 5} \n'))
  expect(isBatch).toBe(false)
  expect(events[0]!.bytes.toString()).toBe('{"amount": 1.10,\n "n": 5}')
  expect(events[0]!.exact).toEqual({ amount: new NumberText('1.10'), n: new NumberText('5') })
})

const nested = (depth: number) => '['.repeat(depth - 1) + ']'.repeat(depth - 1)

describe('splitBody and parseEvent', () => {
  it.each([
    ['nothing', '', /not JSON/],
    ['half an object', '{"a":', /not JSON/],
    ['two objects', '{} {}', /not JSON/],
    ['a byte order mark', '\uFEFF{}', /not JSON/],
    ['500,001 values', `{"a":[${'0,'.repeat(499_998)}0]}`, /more than 500000 values; send/],
    ['an event with too many values', `[{},{"a":[${'[],'.repeat(250_000)}0]}]`, /values \(event 1 of the array\)/],
    ['an empty array', ' [ ] ', /the array is empty; send at least one sale/],
    ['an array without an end', ' [{},{} ', /not JSON: the array has no end/],
    ['a bracket', '[', /not JSON: the array has no end/],
    ['an array that ends twice', '[{}]]', /not JSON \(event 0 of the array\)/],
    ['two arrays', '[{}][{}]', /not JSON \(event 0 of the array\)/],
    ['a comma at the end', '[{},]', /not JSON \(event 1 of the array\)/],
    ['a comma at the start', '[,{}]', /not JSON \(event 0 of the array\)/],
    ['a missing comma', '[{} {}]', /not JSON \(event 0 of the array\)/],
    ['brackets that do not match', '[{"a":[}, {]}]', /not JSON \(event 0 of the array\)/],
    ['an event nested too deep', `{"a":${nested(501)}}`, /more than 500 levels/],
    ['an event nested too deep in an array', `[{"a":${nested(501)}}]`, /more than 500 levels/],
    ['nesting that would overflow the stack', '['.repeat(1_000_000), /more than 500 levels/],
    ['too many sales', `[${'{},'.repeat(1000)}{}]`, /^the array has 1001 sales, more than 1000; send several/],
    ['too many commas', `[${','.repeat(5000)}]`, /^the array has 5001 sales, more than 1000; send several/],
  ])('refuse %s', (_name, body, message) => {
    expect(() => parse(body)).toThrow(Refusal)
    expect(() => parse(body)).toThrow(message)
  })

  it('refuse bytes that are not UTF-8', () => {
    expect(() => parse(Buffer.from('{"a":"caf\u00e9"}', 'latin1'))).toThrow(/UTF-8/)
  })

  it('accept the same texts as JSON.parse', () => {
    const part = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      ',',
      '"a":',
      '"',
      '\\',
      '1',
      ' ',
      '{}',
      '"],["',
      '[1,{"a":[]}]',
      '{"a":1},',
    )
    check(
      fc.property(
        fc.array(part, { maxLength: 8 }).map(parts => parts.join('')),
        text => {
          const expected = valueOrNone(() => JSON.parse(text))
          const found = valueOrNone(() => {
            const { events, isBatch } = parse(text)
            return isBatch ? events.map(({ plain }) => plain) : events[0]!.plain
          })
          expect(found).toEqual(Array.isArray(expected) && expected.length === 0 ? undefined : expected)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('accept as many sales as the limit allows', () => {
    expect(parse(`[${'{},'.repeat(999)}{}]`).events.length).toBe(1000)
  })
})

function valueOrNone(parsing: () => unknown): unknown {
  try {
    return parsing()
  } catch {
    return undefined
  }
}

it('accepts 500 levels in a single event and in an array', () => {
  expect(parse(`{"a":${nested(500)}}`).events.length).toBe(1)
  expect(parse(`[{"a":${nested(500)}},{}]`).events.length).toBe(2)
})
