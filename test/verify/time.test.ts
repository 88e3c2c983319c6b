import { describe, expect, it } from 'vitest'
import { instant, parseEpoch, parseRfc3339, timeParts } from '#verify/time.ts'

function parse(format: string, text: string, zone: string | null): number | undefined {
  const parts = timeParts(format, text)
  return parts && instant(parts, zone)
}

describe('timeParts', () => {
  it.each([
    ['2026-11-29T09:00:00.019-0300', '12:00:00.019'],
    ['2026-11-29T12:00:00.000001+0000', '12:00:00.000'],
    ['2026-11-29T09:00:00-03', '12:00:00.000'],
    ['2026-11-29 12:00:00 UTC', '12:00:00.000'],
    ['2026-11-29 12:00:00GMT', '12:00:00.000'],
    ['2026-11-29 09:00:00 -0300', '12:00:00.000'],
    ['2026-11-29T12:00:00,123Z', '12:00:00.123'],
    ['2026-11-29T12:00Z', '12:00:00.000'],
    ['2026-11-29T12:00:00Z', '12:00:00.000'],
  ])('reads %s as ISO 8601', (text, clock) => {
    expect(new Date(parse('iso8601', text, null)!).toISOString()).toBe(`2026-11-29T${clock}Z`)
  })

  it('reads dates and times without a zone in the declared zone', () => {
    expect(parse('iso8601', '2026-11-29', '-03:00')).toBe(Date.UTC(2026, 10, 29, 3))
    expect(parse('iso8601', '2026-11-29T12:00:00.123456', 'UTC')).toBe(Date.UTC(2026, 10, 29, 12, 0, 0, 123))
    expect(parse('iso8601', '2026-11-29', null)).toBeUndefined()
  })

  it.each([
    '29/11/2026',
    '2026-11-29T12',
    '2026-11-29T12:00,5Z',
    '2026-11-29 12:00:00  Z',
    '2026-11-29Z',
    '1796040000',
  ])('does not read %j as ISO 8601', text => {
    expect(timeParts('iso8601', text)).toBeUndefined()
  })

  it('reads patterns', () => {
    const at = Date.UTC(2026, 10, 29, 12)
    expect(parse('dd/MM/yyyy HH:mm:ss', '29/11/2026 12:00:00', 'UTC')).toBe(at)
    expect(parse('yyyyMMddTHHmmss.SSSXXX', '20261129T090000.005-03:00', null)).toBe(at + 5)
    expect(parse('dd/MM/yyyy', '31/02/2026', 'UTC')).toBeUndefined()
    for (const text of ['9/11/2026 12:00:00', '29/11/2026 12:00:00 ', '29-11-2026 12:00:00', '29/11/2026'])
      expect(timeParts('dd/MM/yyyy HH:mm:ss', text)).toBeUndefined()
  })
})

describe('parseRfc3339', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01t00:00:00z', 0],
    ['1970-01-01 00:00:01Z', 1000],
    ['1970-01-01T01:00:00+01:00', 0],
    ['1969-12-31T23:30:00-00:30', 0],
    ['1970-01-01T00:00:00.1Z', 100],
    ['1970-01-01T00:00:00.123999999999999999999Z', 123],
    ['1969-12-31T23:59:59.9999Z', -1],
    ['2024-02-29T12:00:00Z', 1_709_208_000_000],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['9999-12-31T23:59:59.999Z', 253_402_300_799_999],
  ])('parses %s as %i ms', (text, expected) => {
    expect(parseRfc3339(text, null)).toBe(expected)
  })

  it.each([
    '2026-02-30T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00,5Z',
    '2026-01-01T00:00Z',
    '2026-01-01',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+01:60',
    '2026-01-01T00:00:00+0100',
    ' 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
    '٢026-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '0000-12-31T00:00:00Z',
  ])('rejects %j as a time', text => {
    expect(parseRfc3339(text, null)).toBeUndefined()
  })

  it.each([
    ['1970-01-01T00:00:00', 'UTC', 0],
    ['1970-01-01T00:00:00', '-03:00', 10_800_000],
    ['1970-01-01T00:00:00Z', '-03:00', 0],
  ])('parses %s with declared zone %s', (text, zone, expected) => {
    expect(parseRfc3339(text, zone)).toBe(expected)
  })
})

describe('parseEpoch', () => {
  it.each([
    ['1.0019', 's', 1001],
    ['1500', 'ms', 1500],
    ['1.5e3', 'ms', 1500],
    ['1999', 'us', 1],
    ['1999999', 'ns', 1],
    ['-1', 'us', -1],
    ['-0.0001', 's', -1],
    ['-1000', 'us', -1],
    ['-0', 'ms', 0],
    ['1e-400', 's', 0],
    ['-62135596800', 's', -62_135_596_800_000],
  ] as const)('parses epoch number %s in %s as %i ms', (text, unit, expected) => {
    expect(parseEpoch(text, unit)).toBe(expected)
  })

  it.each([
    ['1e400', 'ms'],
    ['-62135596800.001', 's'],
    ['253402300800', 's'],
  ] as const)('rejects epoch number %s in %s: outside years 0001 to 9999', (text, unit) => {
    expect(parseEpoch(text, unit)).toBeUndefined()
  })
})
