/** Responses of the ingest that need no Kafka. */
import { describe, expect, it } from 'vitest'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const { spec } = ecommerce('unused:9092', 'transactions')
const { app, post, records } = await ingestApp(spec, { maxBodyBytes: 10_000 })

const sale = ecommerceSale
const faultsOf = async (changes: Record<string, unknown>) => (await post(sale(changes))).body.faults

describe('POST with valid sales', () => {
  it('sends the original bytes with the id as their key', async () => {
    const text = sale().replace('12.5', '  1.10').replace('{', '{ "big": 12345678901234567890.0, ')
    expect(await post(` ${text}\n`)).toEqual({
      status: 202,
      body: { accepted: 1, offsets: [{ partition: 0, offset: 0 }] },
    })
    expect(records.splice(0)).toEqual([{ key: 't-1', value: text, traceparent: undefined }])
  })

  it('sends an array element by element', async () => {
    const texts = [sale(), sale({ transaction_id: 7, note: '],[{' }), sale({ transaction_id: '7' })]
    expect(await post(`[${texts.join(' ,\n')} ]`)).toMatchObject({ status: 202, body: { accepted: 3 } })
    expect(records.splice(0).map(({ key, value }) => [key, value])).toEqual([
      ['t-1', texts[0]],
      ['7', texts[1]],
      ['7', texts[2]],
    ])
  })

  it('passes on a valid W3C trace context only', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await post(sale(), { traceparent })
    await post(sale(), { traceparent: '00-00000000000000000000000000000000-b7ad6b7169203331-01' })
    expect(records.splice(0).map(record => record.traceparent)).toEqual([traceparent, undefined])
  })
})

describe('POST with invalid sales', () => {
  it('returns every invalid field and what it must be', async () => {
    const response = await post(
      sale({
        transaction_id: 1.5,
        amount: '1,5',
        quantity: '1',
        category: null,
        store_id: undefined,
        timestamp: 'today',
      }),
    )
    expect(response.status).toBe(400)
    expect(response.body.error).toBe('nothing was sent to Kafka: 6 errors in the request')
    expect(Object.fromEntries(response.body.faults!.map(({ field, message }) => [field, message]))).toEqual({
      transaction_id: 'must be a string or a whole number that identifies the sale',
      amount: 'must be a number, or a number in a string, with at most 2 decimals',
      quantity: 'must be a number with no decimals',
      category: 'must be a string',
      store_id: 'is required',
      timestamp: 'must be an RFC 3339 time such as 2026-01-31T12:00:00Z',
    })
  })

  it('checks the digits as they were written', async () => {
    expect(await faultsOf({ amount: 12.345 })).toEqual([{ field: 'amount', message: 'must have at most 2 decimals' }])
    expect(await faultsOf({ amount: '12.340' })).toBeUndefined()
    expect(await faultsOf({ amount: '9'.repeat(31) })).toEqual([
      { field: 'amount', message: 'must have at most 30 digits before the decimal point' },
    ])
    expect(await faultsOf({ quantity: 1.5 })).toEqual([{ field: 'quantity', message: 'must have no decimals' }])
    records.splice(0)
  })

  it('refuses dates that do not exist, times in the future, and strings that cannot be stored', async () => {
    expect(await faultsOf({ timestamp: '2026-02-29T12:00:00Z' })).toEqual([
      { field: 'timestamp', message: 'must be a date that exists' },
    ])
    expect(await faultsOf({ timestamp: '9998-01-01T00:00:00Z' })).toEqual([
      { field: 'timestamp', message: 'must not be more than 30 s in the future' },
    ])
    expect(await faultsOf({ category: 'a\0b' })).toEqual([
      { field: 'category', message: 'must be valid Unicode without U+0000' },
    ])
    expect(await faultsOf({ category: '\ud800' })).toEqual([
      { field: 'category', message: 'must be valid Unicode without U+0000' },
    ])
  })

  it('returns the index of each invalid event of an array and sends nothing', async () => {
    const response = await post(`[${sale()},${sale({ amount: true })},${sale({ category: 5 })}]`)
    expect(response.body.faults!.map(({ index, field }) => [index, field])).toEqual([
      [1, 'amount'],
      [2, 'category'],
    ])
    expect(response.status).toBe(400)
    expect(records).toEqual([])
  })

  it('refuses a body that is not a JSON object', async () => {
    expect(await post('{"a":')).toMatchObject({ status: 400, body: { error: expect.stringContaining('not JSON') } })
    expect(await post('')).toMatchObject({ status: 400, body: { error: expect.stringContaining('not JSON') } })
    expect(await post('5')).toMatchObject({
      status: 400,
      body: { faults: [{ field: 'event', message: 'must be object' }] },
    })
    expect(await post('[[]]')).toMatchObject({
      status: 400,
      body: { faults: [{ index: 0, field: 'event', message: 'must be object' }] },
    })
  })
})

describe('another path or method', () => {
  it('gets 404 with the route for sales, whatever its body', async () => {
    for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'application/json' }, {}]) {
      const response = await app.inject({ method: 'POST', url: '/sales?x=1', payload: 'x'.repeat(20_000), headers })
      expect([response.statusCode, response.json().error]).toEqual([
        404,
        'this path does not exist; send sales with POST /transactions. GET /docs explains the format',
      ])
    }
  })

  it.each(['/transactions', '/transactions?a=/b', '/openapi.json', '/docs', '/healthz', '/readyz', '/metrics'])(
    'gets 405 and the methods of the path from %s',
    async url => {
      const allow = url.startsWith('/transactions') ? 'POST' : 'GET, HEAD'
      const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
      for (const method of methods.filter(name => !allow.split(', ').includes(name))) {
        const headers = { 'content-type': 'text/plain' }
        const response = await app.inject({ method: method as 'GET', url, headers, payload: 'x'.repeat(20_000) })
        expect([method, response.statusCode, response.headers.allow]).toEqual([method, 405, allow])
        if (method === 'HEAD') continue
        expect(response.json()).toEqual({ error: `this path does not support ${method}; use ${allow}` })
      }
    },
  )

  it('gets 400 in the same format if the path is no URL', async () => {
    const response = await app.inject(`/%${'x'.repeat(5000)}`)
    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json())).toEqual(['error'])
    expect(response.body.length).toBeLessThan(200)
  })
})

it('refuses a large request with 413', async () => {
  expect(await post(sale({ note: 'x'.repeat(10_000) }))).toEqual({
    status: 413,
    body: {
      error:
        'the request is too large: its body has more than 10000 bytes (after decompression); send several smaller requests',
    },
  })
})

it('refuses another content type with 415', async () => {
  expect(await post(sale(), { 'content-type': 'text/plain' })).toEqual({
    status: 415,
    body: { error: 'the header Content-Type is text/plain; set it to application/json' },
  })
  expect((await post(sale(), { 'content-type': 'x'.repeat(5000) })).body.error!.length).toBeLessThan(200)
})

it('describes the event in /openapi.json with an example that it accepts', async () => {
  const openapi = (await app.inject('/openapi.json')).json()
  expect(Object.keys(openapi.paths)).toEqual(['/transactions'])
  expect(openapi.security).toBeUndefined()
  const { requestBody, responses } = openapi.paths['/transactions'].post
  expect(Object.keys(responses)).toEqual(['202', '400', '401', '408', '413', '415', '429', '503'])
  const [one, many] = requestBody.content['application/json'].schema.oneOf
  expect([many.items, many.maxItems]).toEqual([one, 10_000])
  const example = Object.fromEntries(
    Object.entries<{ examples: unknown[] }>(one.properties).map(([name, property]) => [name, property.examples[0]]),
  )
  expect(Object.keys(example).sort()).toEqual(one.required.toSorted())
  expect(await post(JSON.stringify(example))).toMatchObject({ status: 202 })
  records.splice(0)
})

it('shows the route, its fields and an accepted example in /docs', async () => {
  const response = await app.inject('/docs')
  expect(response.headers['content-type']).toContain('text/html')
  for (const field of Object.keys(JSON.parse(sale()))) expect(response.body).toContain(`<td>${field}</td>`)
  expect(response.body).not.toMatch(/src=|https?:/)
  const example = /-d '([^']+)'/
    .exec(response.body)![1]!
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
  expect(await post(example)).toMatchObject({ status: 202 })
  records.splice(0)
})

it('counts responses in /metrics', async () => {
  const counted = async () =>
    (await app.inject('/metrics')).body.match(/requests_total\{code="400",pipeline="default\/sales"\} (\d+)/)?.[1]
  const before = Number(await counted())
  await post('nonsense')
  expect(Number(await counted())).toBe(before + 1)
  expect((await app.inject('/healthz')).statusCode).toBe(200)
})

it('shows on /readyz why Kafka cannot be reached, without its address', async () => {
  const reason = 'connect ECONNREFUSED 10.0.0.7:9092'
  const { app: unready } = await ingestApp(spec, { unready: reason })
  const answer = await unready.inject('/readyz')
  expect([answer.statusCode, answer.json()]).toEqual([503, { ok: false, reasons: ['connect ECONNREFUSED [address]'] }])
})
