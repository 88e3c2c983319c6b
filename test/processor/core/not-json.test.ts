import { describe, expect, it } from 'vitest'
import { describeNotJson } from '#processor/core/not-json.ts'
import { recordsOf } from '#test/field/readers.ts'

describe('describeNotJson', () => {
  it('describes values that producers send by mistake', () => {
    expect(recordsOf('not-json').map(describeNotJson)).toEqual([
      'NaN at byte 75; send one JSON object per record',
      'begins with a UTF-8 byte-order mark; send the JSON without it',
      'begins with a UTF-16 byte-order mark; send UTF-8',
      'Confluent wire format, schema id 7; configure the producer to send JSON without a schema registry',
      'x at byte 0; send one JSON object per record',
      'a single quote at byte 1, as Python prints values; use json.dumps',
    ])
  })

  it.each([
    ['{"a":1,}', 'its brackets, commas or colons are not JSON, or it is cut off (8 bytes); look at the payload'],
    ['{"a":01}', '01 at byte 5'],
    ['{"a":.5}', '.5 at byte 5'],
    ['{"a":truely}', 'truely at byte 5'],
    ['{"é":Infinity}', 'Infinity at byte 6'],
    ['{"a":"\u0007"}', '"\\x07"} at byte 5'],
    [`{"a":${'x'.repeat(100)}}`, `${'x'.repeat(20)} at byte 5`],
    ['{"a":"b', '"b at byte 5'],
  ])('shows where %j is not JSON, bounded and escaped', (text, expected) => {
    expect(describeNotJson(Buffer.from(text))).toBe(
      expected.includes(';') ? expected : `${expected}; send one JSON object per record`,
    )
  })

  it('needs time proportional to the bytes', () => {
    const started = performance.now()
    describeNotJson(Buffer.from('"'.repeat(1 << 16)))
    describeNotJson(Buffer.from(`"${'\\'.repeat(1 << 16)}`))
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
