import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parsePipeline } from '#pipeline/parse.ts'
import { Dice } from '#producer/random.ts'
import { decimalText, PROFILES, saleIds } from '#producer/sale.ts'
import { ingestApp } from './serve/fixture.ts'

const EXAMPLES = resolve(import.meta.dirname, '../../k8s/examples')
const NOW = Date.parse('2026-03-01T12:00:00.123Z')
const files = readdirSync(EXAMPLES).filter(name => name.endsWith('.yaml'))

it('finds one example for each profile', () => {
  expect(
    files.map(name => parsePipeline(readFileSync(join(EXAMPLES, name), 'utf8'), name).spec.load.profile).sort(),
  ).toEqual(Object.keys(PROFILES).sort())
})

describe.each(files)('%s', name => {
  const { spec } = parsePipeline(readFileSync(join(EXAMPLES, name), 'utf8'), name)
  const profile = PROFILES[spec.load.profile]
  const write = (index: number) => profile.write(new Dice(5, 0).seek(index), `id-${index}`, NOW, index)

  it('writes events that the mapping of the example accepts', async () => {
    const { post, records } = await ingestApp(spec)
    const events = Array.from({ length: 200 }, (_, index) => write(index))
    expect(await post(`[${events.join(',')}]`)).toMatchObject({ status: 202, body: { accepted: 200 } })
    expect(records.map(({ value }) => value)).toEqual(events)
  })

  it('repeats the bytes of an index and varies them between indices', () => {
    const events = Array.from({ length: 200 }, (_, index) => write(index))
    expect(Array.from({ length: 200 }, (_, index) => write(index))).toEqual(events)
    expect(new Set(events).size).toBe(200)
  })

  it('writes the fields that malformations change', () => {
    for (const field of Object.values(profile.fields)) expect(write(0)).toContain(`"${field}":`)
  })

  it('writes amounts with exactly two decimals', () => {
    const amounts = Array.from({ length: 200 }, (_, index) => [
      ...write(index).matchAll(new RegExp(`"${profile.fields.amount}":([^,}]+)`, 'g')),
    ])
    expect(amounts.flat().length).toBeGreaterThanOrEqual(200)
    for (const [, amount] of amounts.flat()) expect(amount).toMatch(/^\d+\.\d\d$/)
  })
})

it('writes ecommerce events of at least 180 bytes, the size of the engine comparison', () => {
  for (let index = 0; index < 200; index++)
    expect(
      PROFILES.ecommerce.write(new Dice(1, 0).seek(index), saleIds(1, NOW)(index), NOW, index).length,
    ).toBeGreaterThanOrEqual(180)
})

it('writes the exact sum of an order’s lines as its total', () => {
  for (let index = 0; index < 500; index++) {
    const order = PROFILES['product-sales'].write(new Dice(9, 0).seek(index), 'id', NOW, 3)
    const cents = (name: string) =>
      [...order.matchAll(new RegExp(`"${name}":([\\d.]+)`, 'g'))].map(match => BigInt(match[1]!.replace('.', '')))
    const prices = cents('price')
    const total = cents('quantity').reduce((sum, quantity, i) => sum + quantity * prices[i]!, 0n)
    expect(cents('total_value')).toEqual([total])
  }
})

it('formats cents as decimals', () => {
  expect([0, 5, 10, 199, 500_000, 900_719_925_474_099].map(decimalText)).toEqual([
    '0.00',
    '0.05',
    '0.10',
    '1.99',
    '5000.00',
    '9007199254740.99',
  ])
})

it('creates UUIDs that are distinct by index, seed and start', () => {
  const ids = [saleIds(1, NOW), saleIds(2, NOW), saleIds(1, NOW + 1)].flatMap(idOf => [0, 1, 99_999, 2 ** 40].map(idOf))
  expect(new Set(ids).size).toBe(12)
  for (const id of ids) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-8[\da-f]{3}-[\da-f]{12}$/)
  expect(saleIds(1, NOW)(7)).toBe(saleIds(1, NOW)(7))
})
