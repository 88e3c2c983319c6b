import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEpoch, Rfc3339 } from '#processor/core/decode/time.ts'
import { check } from '#test/support/properties.ts'

function parse(text: string, zone?: string): number {
  const bytes = Buffer.from(`"${text}"`)
  return new Rfc3339(zone).parse(bytes, 1, bytes.length - 1)
}

describe('RFC 3339', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01t00:00:00z', 0],
    ['1970-01-01 00:00:00Z', 0],
    ['1970-01-01T00:00:00-00:00', 0],
    ['1970-01-01T01:30:00+01:30', 0],
    ['1969-12-31T19:00:00-05:00', 0],
    ['1970-01-01T23:59:00+23:59', 0],
    ['2024-02-29T12:00:00.5Z', Date.UTC(2024, 1, 29, 12, 0, 0, 500)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['2026-01-31T10:00:00.1239999999999Z', Date.UTC(2026, 0, 31, 10, 0, 0, 123)],
    ['2026-01-31T10:00:00.000000+00:00', Date.UTC(2026, 0, 31, 10)],
    ['1969-12-31T23:59:59.9999Z', -1],
    ['0001-01-01T00:00:00Z', -62135596800000],
    ['0000-12-31T23:59:59-00:01', -62135596741000],
    ['9999-12-31T23:59:59.999Z', 253402300799999],
    ['9999-12-31T23:59:59.999+00:01', 253402300739999],
  ])('parses RFC 3339 text %s', (text, expected) => {
    expect(parse(text)).toBe(expected)
  })

  it.each([
    '10000-01-01T00:00:00Z',
    '9999-12-31T23:59:59-00:01',
    '0001-01-01T00:00:00+00:01',
    '0000-06-01T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-13-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-32T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T23:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-01-31T10:00:00',
    '2026-01-31T10:00Z',
    '2026-01-31',
    '2026-01-31T10:00:00.Z',
    '2026-01-31T10:00:00,5Z',
    '2026-01-31T10:00:00+0100',
    '2026-01-31T10:00:00+01',
    '2026-01-31T10:00:00+24:00',
    '2026-01-31T10:00:00+01:60',
    '2026-01-31T10:00:00~01:00',
    '2026-01-31T10:00:00Z ',
    ' 2026-01-31T10:00:00Z',
    '2026-01-31T10:00:00ZZ',
    '2026-1-31T10:00:00.00Z',
    '2026/01/31T10:00:00Z',
    '2026-01-31T10-00-00Z',
    '2026-01-31_10:00:00Z',
    '+026-01-31T10:00:00Z',
    '２０２６-01-31T10:00:00Z',
    '1735689600000',
    '',
  ])('refuses %j as RFC 3339 text', text => {
    expect(parse(text)).toBeNaN()
  })

  it.each([
    ['Z', 0],
    ['UTC', 0],
    ['-03:00', 3 * 3_600_000],
    ['+05:30', -5.5 * 3_600_000],
  ])('uses the declared zone %s when the text has none', (zone, offset) => {
    expect(parse('1970-01-01T00:00:00', zone)).toBe(offset)
    expect(parse('1970-01-01T00:00:00.25', zone)).toBe(offset + 250)
    expect(parse('1970-01-01T00:00:00+01:00', zone)).toBe(-3_600_000)
  })

  it('agrees with Date on every time that Date can format', () => {
    const times = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    })
    const reader = new Rfc3339(undefined)
    check(
      fc.property(times, fc.integer({ min: -1439, max: 1439 }), (date, minutes) => {
        const shifted = new Date(date.getTime() + minutes * 60_000)
        if (shifted.getUTCFullYear() < 0 || shifted.getUTCFullYear() > 9999) return
        const size = Math.abs(minutes)
        const hhmm = [Math.floor(size / 60), size % 60].map(part => String(part).padStart(2, '0')).join(':')
        const text = shifted.toISOString().replace('Z', `${minutes < 0 ? '-' : '+'}${hhmm}`)
        const bytes = Buffer.from(text)
        expect(reader.parse(bytes, 0, bytes.length)).toBe(date.getTime())
      }),
      { numRuns: 3000 },
    )
  })

  it('knows the days of every month of 800 years', () => {
    const reader = new Rfc3339(undefined)
    for (let year = 1600; year < 2400; year++)
      for (let month = 1; month <= 12; month++)
        for (const day of [1, 28, 29, 30, 31]) {
          const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T00:00:00Z`
          const date = new Date(text)
          const exists = !Number.isNaN(date.getTime()) && date.getUTCDate() === day
          const bytes = Buffer.from(text)
          expect(reader.parse(bytes, 0, bytes.length), text).toBe(exists ? date.getTime() : Number.NaN)
        }
  })
})

describe('epoch', () => {
  it.each([
    ['1735689600', 's', 1735689600000],
    ['1735689600.9999', 's', 1735689600999],
    ['1735689600123', 'ms', 1735689600123],
    ['1735689600123.9', 'ms', 1735689600123],
    ['1735689600123999', 'us', 1735689600123],
    ['1735689600123999999', 'ns', 1735689600123],
    ['1.735689600123e12', 'ms', 1735689600123],
    ['-1', 's', -1000],
    ['-1', 'us', -1],
    ['-1.5', 'ms', -2],
    ['0', 'ns', 0],
    ['253402300799.999', 's', 253402300799999],
    ['-62135596800', 's', -62135596800000],
  ] as const)('parses epoch %s %s', (text, unit, expected) => {
    expect(parseEpoch(text, unit)).toBe(expected)
  })

  it.each([
    ['253402300800', 's'],
    ['-62135596800.001', 's'],
    ['1e400', 'ms'],
    ['-1e400', 'ns'],
  ] as const)('refuses epoch %s %s, outside the years 1 to 9999', (text, unit) => {
    expect(parseEpoch(text, unit)).toBeNaN()
  })
})
