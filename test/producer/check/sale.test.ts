/** The sale of a check and its expected rows, written by hand for every example. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parsePipeline } from '#pipeline/parse.ts'
import { checkSale } from '#producer/check/sale.ts'
import { ingestApp } from '../serve/fixture.ts'

const EXAMPLES = resolve(import.meta.dirname, '../../../k8s/examples')
const NAME = 'check-1'
const NOW = Date.parse('2026-01-31T12:00:00.123Z')

const example = (file: string) => parsePipeline(readFileSync(join(EXAMPLES, file), 'utf8')).spec
const row = (aggregation: string, by: string, measures: Record<string, string>, unchecked: string[] = []) => ({
  aggregation,
  groupBy: [by],
  identifiedBy: [by],
  windows: 1,
  unchecked,
  columns: { [by]: NAME, ...measures },
})

const EXPECTED: Record<string, { rows: object[]; shared: string[] }> = {
  'anomalies.yaml': {
    rows: [
      row('sales_summary', 'categoria', {
        total_vendas: '12.34',
        numero_vendas: '1',
        itens: '1',
        media: '12.34',
        maior_venda: '12.34',
      }),
      { ...row('sales_last_minute', 'categoria', { total_vendas: '12.34', numero_vendas: '1' }), windows: 6 },
    ],
    shared: [],
  },
  'black-friday.yaml': {
    rows: [row('faturamento_tempo_real', 'categoria', { faturamento_total: '12.34', volume_vendas: '1' })],
    shared: [],
  },
  'ecommerce.yaml': {
    rows: [
      row('sales_summary', 'category', {
        revenue: '12.34',
        orders: '1',
        items: '1',
        average_order: '12.34',
        smallest: '12.34',
        largest: '12.34',
      }),
      row('sales_by_payment', 'payment_method', { revenue: '12.34', orders: '1' }),
    ],
    shared: [],
  },
  'product-sales.yaml': {
    rows: [row('product_sales', 'product_name', { lines: '1', items: '1' }, ['total_sales'])],
    shared: [],
  },
  'sales-map.yaml': {
    rows: ['product', 'location'].map(by => row(`sales_by_${by}`, by, { total_sales: '12.34', transactions: '1' })),
    shared: ['sales_by_day'],
  },
}

it.each(readdirSync(EXAMPLES))('creates a sale for %s that the ingest accepts, and its expected rows', async file => {
  const spec = example(file)
  const sale = checkSale(spec, NAME, Date.now())
  expect({ rows: sale.rows, shared: sale.shared }).toEqual(EXPECTED[file])
  const { app, records, post } = await ingestApp(spec)
  expect(await post(sale.json)).toMatchObject({ status: 202 })
  expect(records).toMatchObject([{ key: NAME, value: sale.json }])
  await app.close()
})

const specOf = (event: string, aggregations: string) =>
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: check }
spec:
  source: { topic: sales }
  event: ${event.replaceAll('\n', ' ')}
  aggregations: ${aggregations.replaceAll('\n', ' ')}
`).spec

const ODD = `{
    id: order.id,
    time: { path: order.at, format: epoch, unit: UNIT },
    fields: [
      { name: day, path: order.at, type: number },
      { name: member, type: boolean },
      { name: rate, type: decimal, scale: 4 },
      { name: whole, type: decimal, scale: 0 },
      { name: points, type: number, scale: 3 },
      { name: __proto__x, path: __proto__.x }
    ],
    explode: { path: order.lines, fields: [{ name: product, path: item.name }, { name: price, type: decimal, scale: 1 }] }
  }`
const MEASURES = `[
    { name: lines, op: count }, { name: rates, op: sum, of: rate }, { name: rough, op: average, of: rate, scale: 1 },
    { name: wholes, op: min, of: whole }, { name: points, op: max, of: points, scale: 5 },
    { name: price, op: sum, of: price }, { name: total, op: sum, of: price * points }
  ]`

it.each([
  ['s', '1769860800', '2026-01-31T12:00:00.000Z'],
  ['ms', '1769860800123', '2026-01-31T12:00:00.123Z'],
  ['us', '1769860800123000', '2026-01-31T12:00:00.123Z'],
  ['ns', '1769860800123000000', '2026-01-31T12:00:00.123Z'],
])('creates a sale with nested paths, lines, many scales and a time in %s', async (unit, time, instant) => {
  const spec = specOf(ODD.replace('UNIT', unit), `[{ name: all, groupBy: [product, member], measures: ${MEASURES} }]`)
  const sale = checkSale(spec, NAME, NOW)
  expect(sale.json).toBe(
    `{"order":{"id":"check-1","at":${time},"lines":[{"item":{"name":"check-1"},"price":12.3}]},` +
      `"member":true,"rate":12.34,"whole":12,"points":1,"__proto__":{"x":"check-1"}}`,
  )
  expect(sale.time).toBe(Date.parse(instant))
  const lines = { lines: '1', rates: '12.3400', rough: '12.3', wholes: '12', points: '1.00000', price: '12.3' }
  expect(sale.rows).toEqual([
    {
      aggregation: 'all',
      groupBy: ['product', 'member'],
      identifiedBy: ['product'],
      windows: 1,
      columns: { product: NAME, ...lines },
      unchecked: ['total'],
    },
  ])
  const { app, post } = await ingestApp(spec)
  expect(await post(sale.json)).toMatchObject({ status: 202 })
  await app.close()
})

it.each([
  ['{ path: at, format: iso8601 }', '"at":"2026-01-31T12:00:00.123Z",'],
  ['{ path: at, formats: [epoch, dd/MM/yyyy HH:mm:ss.SSS], zone: "-03:00" }', '"at":1769860800123,'],
  ['{ path: at, formats: [dd/MM/yyyy HH:mm:ss.SSS], zone: "-03:00" }', '"at":"31/01/2026 09:00:00.123",'],
  ['{ path: at, formats: ["yyyyMMdd HHmmss.SSSXXX"] }', '"at":"20260131 120000.123Z",'],
  ['{ format: record-timestamp }', ''],
])('creates a sale with a time in the format %s, which the ingest accepts', async (time, written) => {
  const spec = specOf(
    `{ time: ${time}, fields: [{ name: shop }] }`,
    '[{ name: all, groupBy: [shop], measures: [{ name: n, op: count }] }]',
  )
  const sale = checkSale(spec, NAME, NOW)
  expect(sale).toMatchObject({ json: `{${written}"shop":"check-1"}`, time: NOW })
  const { app, post } = await ingestApp(spec)
  expect(await post(sale.json)).toMatchObject({ status: 202 })
  await app.close()
})

it.each([
  ['[{ name: all, measures: [{ name: sales, op: count }] }]', 'no group-by'],
  ['[{ name: all, groupBy: [amount], measures: [{ name: sales, op: count }] }]', 'a number'],
  ['[{ name: all, groupBy: [day], measures: [{ name: sales, op: count }] }]', 'the text of a time'],
])('refuses %s, because a row for %s contains other sales', aggregations => {
  const event = '{ time: { path: at }, fields: [{ name: amount, type: decimal }, { name: day, path: at }] }'
  expect(() => checkSale(specOf(event, aggregations), NAME, NOW)).toThrow(/no aggregation groups by a string field/)
})
