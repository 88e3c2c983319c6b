import { describe, expect, it } from 'vitest'
import { MALFORMATIONS, malform } from '#producer/malformed.ts'
import { Dice } from '#producer/random.ts'
import { PROFILES, type Sale } from '#producer/sale.ts'

/** Unusual, but valid JSON with every field unchanged. */
const VALID = ['prototype pollution']

describe.each(Object.entries(PROFILES))('%s', (_name, profile) => {
  const sale: Sale = {
    id: 'the-id',
    json: profile.write(new Dice(3, 0).seek(1), 'the-id', Date.UTC(2026, 0, 31, 12), 4),
  }
  const { fields } = profile

  it.each(Object.keys(MALFORMATIONS))('changes the event: %s', kind => {
    const malformed = MALFORMATIONS[kind]!(sale, fields)
    expect(malformed).not.toBe(sale.json)
    if (malformed === null || malformed === '') return
    expect(malformed.length).toBeGreaterThan(5)
  })

  it('changes the event as the name of each malformation says', () => {
    const parsed = (kind: string) => JSON.parse(MALFORMATIONS[kind]!(sale, fields) as string)
    const first = (kind: string, name: string) => {
      const event = parsed(kind)
      return event.products && !(name in event) ? event.products[0][name] : event[name]
    }
    expect(malform(sale, fields, 0)).toBeNull()
    for (const kind of ['cut off', 'not JSON', 'byte order mark', 'NaN amount'])
      expect(() => parsed(kind)).toThrow(SyntaxError)
    expect(parsed('not an object')).toEqual([JSON.parse(sale.json)])
    expect(first('no amount', fields.amount)).toBeUndefined()
    expect(first('no id', fields.id)).toBeUndefined()
    expect(first('no time', fields.time)).toBeUndefined()
    expect(first('null amount', fields.amount)).toBeNull()
    expect(first('amount of a wrong type', fields.amount)).toEqual({ value: 12.34 })
    expect(first('amount with a comma', fields.amount)).toBe('12,34')
    expect(first('amount larger than a double can hold', fields.amount)).toBe(Number.POSITIVE_INFINITY)
    expect(MALFORMATIONS['too many decimals']!(sale, fields)).toContain(`"${fields.amount}":12.345`)
    expect(MALFORMATIONS['amount of 31 digits']!(sale, fields)).toContain(`"${fields.amount}":${'9'.repeat(31)}`)
    expect(first('number instead of text', fields.text)).toBe(7)
    expect(first('far future', fields.time)).toBe('9998-01-01T00:00:00Z')
    expect(first('lone surrogate', fields.text).isWellFormed()).toBe(false)
    expect(first('NUL in a text', fields.text)).toBe('a\0b')
    expect(() =>
      new TextDecoder('utf-8', { fatal: true }).decode(MALFORMATIONS['invalid UTF-8']!(sale, fields) as Buffer),
    ).toThrow()
    expect(Object.hasOwn(parsed('prototype pollution'), '__proto__')).toBe(true)
    expect(parsed('deep nesting').extra.flat(Number.POSITIVE_INFINITY)).toEqual([])
    expect(parsed('amount given twice, the last one is wrong')[fields.amount]).toBe('no')
  })

  it('leaves the mapped fields valid only for the listed malformations', () => {
    const original = JSON.parse(sale.json)
    const harmless = Object.entries(MALFORMATIONS).filter(([, malformation]) => {
      try {
        return Object.entries(original).every(
          ([name, value]) =>
            JSON.stringify(JSON.parse(malformation(sale, fields) as string)[name]) === JSON.stringify(value),
        )
      } catch {
        return false
      }
    })
    const unread =
      profile === PROFILES['product-sales']
        ? ['deep nesting', 'amount given twice, the last one is wrong']
        : ['deep nesting']
    expect(harmless.map(([kind]) => kind).sort()).toEqual([...VALID, ...unread].sort())
  })
})

it('draws every malformation', () => {
  const sale: Sale = { id: 'x', json: PROFILES.ecommerce.write(new Dice(3, 0).seek(1), 'x', 0, 4) }
  const drawn = Array.from({ length: 1000 }, (_, i) =>
    malform(sale, PROFILES.ecommerce.fields, i / 1000)?.toString('latin1'),
  )
  expect(new Set(drawn).size).toBe(Object.keys(MALFORMATIONS).length)
})
