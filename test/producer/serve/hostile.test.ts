/** The size of a response, and the work for it, do not grow with the number of faults in a request. */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { checkSales, checksOf, type Validate } from '#producer/serve/validation.ts'
import { ecommerce } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const { post, records } = await ingestApp(ecommerce('unused:9092', 'transactions').spec, { maxBatch: 1000 })

const ORDERS = parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: orders }
spec:
  source: { topic: orders }
  event:
    time: { path: at }
    fields: [{ name: store }]
    explode:
      path: order.lines
      fields:
        - { name: product, path: item.name }
        - { name: price, type: decimal, scale: 2 }
  aggregations: [{ name: totals, groupBy: [store, product], measures: [{ name: sales, op: count }] }]
`).spec
const orders = await ingestApp(ORDERS)
const order = (lines: unknown[], more: Record<string, unknown> = {}) =>
  JSON.stringify({ at: '2026-01-31T12:00:00Z', store: 'a', order: { lines }, ...more })
const line = (more: Record<string, unknown> = {}) => ({ item: { name: 'pen' }, price: '1.50', ...more })

describe('an array of sales', () => {
  it('refuses an array with 413 and both numbers if it has more sales than the limit', async () => {
    expect(await post(`[${Array(1001).fill('{}').join(',')}]`)).toEqual({
      status: 413,
      body: { error: 'the array has 1001 sales, more than 1000; send several smaller requests' },
    })
  })

  it('gets its first 100 faults', async () => {
    const { status, body } = await post(`[${Array(1000).fill('{}').join(',')}]`)
    expect([status, body.error]).toEqual([400, 'nothing was sent to Kafka: at least 100 errors in the request'])
    expect(body.faults!.length).toBe(100)
    expect(body.faults!.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, i) => Math.floor(i / 7)))
    expect(records).toEqual([])
  })

  it('does not read an array further than the hundredth fault', () => {
    const compiled = compileSpec(ORDERS)
    const events = Array.from({ length: 500 }, () => Buffer.from('{}'))
    let [checked, yielded] = [0, 0]
    function* faultsOf() {
      checked++
      for (; yielded < 1000; yielded++) yield { field: 'a', message: `must be ${yielded}` }
    }
    const checks = { digitsNeeded: () => false, faultsOf }
    const { faults } = checkSales({ events, isBatch: true }, compiled, checks)
    expect([faults.length, checked, yielded]).toEqual([100, 1, 99])
  })
})

describe('an event with many lines', () => {
  it('gets every fault of the event and of its lines, with the line in the name of the field', async () => {
    const lines = [line(), { price: 'free' }, 5, line({ price: true, item: { name: null } })]
    const { status, body } = await orders.post(order(lines, { store: 1 }))
    expect(status).toBe(400)
    expect(Object.fromEntries(body.faults!.map(({ field, message }) => [field, message]))).toEqual({
      store: 'must be a string',
      'order.lines[1].item': 'is required',
      'order.lines[1].price': 'must be a number, or a number in a string, with at most 2 decimals',
      'order.lines[2]': 'must be object',
      'order.lines[3].item.name': 'must be a string',
      'order.lines[3].price': 'must be a number, or a number in a string, with at most 2 decimals',
    })
  })

  it('gets at most 100 faults, of its schema and of its digits', async () => {
    for (const bad of [{}, line({ price: 1.555 })]) {
      const { status, body } = await orders.post(order(Array(5000).fill(bad)))
      expect([status, body.faults!.length]).toEqual([400, 100])
      expect(body.faults![0]!.field).toMatch(/^order\.lines\[0\]\./)
    }
  })

  it.each([
    ['no array', '{"at":"2026-01-31T12:00:00Z","store":"a","order":{"lines":{}}}', 'order.lines'],
    ['empty', order([]), 'order.lines'],
    ['missing', '{"at":"2026-01-31T12:00:00Z","store":"a","order":{}}', 'order.lines'],
    ['in no object', '{"at":"2026-01-31T12:00:00Z","store":"a","order":[[]]}', 'order'],
  ])('gets one fault if its lines are %s', async (_case, text, field) => {
    const { status, body } = await orders.post(text)
    expect([status, body.faults!.map(fault => fault.field)]).toEqual([400, [field]])
  })

  it('checks one line at a time', async () => {
    let validated = 0
    const { faultsOf } = checksOf(compileSpec(ORDERS), () => {
      const validate: Validate = () => ++validated === 1
      validate.errors = [{ keyword: 'type', instancePath: '', params: {} }]
      return validate
    })
    const plain = { order: { lines: Array(5000).fill({}) } }
    faultsOf({ plain, exact: {} }, 0)[Symbol.iterator]().next()
    expect(validated).toBe(2)
  })
})

it.each(['{"a":', '[{"a":x'.repeat(5000), `"${'x'.repeat(500_000)}`, `[${'{"b":"\\q'.padEnd(9000, 'x')}"}]`])(
  'answers invalid JSON with a short text (%#)',
  async text => {
    const { status, body } = await post(text)
    expect(status).toBe(400)
    expect(body.error!.length).toBeLessThan(200)
  },
)
