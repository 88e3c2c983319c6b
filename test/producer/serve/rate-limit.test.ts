/** Rate limits of clients. */
import { describe, expect, it } from 'vitest'
import { authenticator } from '#producer/serve/auth/authenticate.ts'
import { createToken, parseTokens } from '#producer/serve/auth/tokens.ts'
import { createMetrics } from '#producer/serve/metrics.ts'
import { RateLimiter, type RateLimits } from '#producer/serve/rate-limit.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

function limiter(limits: RateLimits) {
  const clock = { now: 0 }
  return { clock, limiter: new RateLimiter(limits, () => clock.now) }
}

describe('a rate limiter', () => {
  it('limits requests to a burst and then to the rate, for each client on its own', () => {
    const { clock, limiter: limits } = limiter({ requestsPerSecond: 2, burstMs: 5000 })
    expect(Array.from({ length: 12 }, () => limits.request('a'))).toEqual([...Array(10).fill(0), 1, 1])
    expect(limits.request('b')).toBe(0)
    clock.now += 1000
    expect([1, 2, 3].map(() => limits.request('a'))).toEqual([0, 0, 1])
    clock.now += 3_600_000
    expect(Array.from({ length: 11 }, () => limits.request('a')).filter(wait => wait === 0)).toHaveLength(10)
  })

  it('limits sales by their number, and lets a large request pass whole before the client has to wait', () => {
    const { clock, limiter: limits } = limiter({ salesPerSecond: 100, burstMs: 1000 })
    expect(limits.sales('a', 10_000)).toBe(0)
    expect([limits.sales('a', 1), limits.request('a'), limits.request('b')]).toEqual([100, 100, 0])
    clock.now += 98_000
    expect(limits.request('a')).toBeGreaterThan(0)
    clock.now += 1500
    expect([limits.request('a'), limits.sales('a', 1)]).toEqual([0, 0])
  })

  it('never accepts more sales over a minute than rate and burst allow, whatever the client sends', () => {
    const { clock, limiter: limits } = limiter({ salesPerSecond: 100, burstMs: 2000 })
    let sales = 0
    for (let i = 0; i < 6000; i++, clock.now += 10) if (limits.sales('a', 7) === 0) sales += 7
    expect(sales).toBeGreaterThan(6000)
    expect(sales).toBeLessThan(6000 + 200 + 7)
  })

  it('accepts a request within a second at the lowest rate, and forgets the quietest of too many clients', () => {
    const { limiter: limits } = limiter({ requestsPerSecond: 1, burstMs: 10 })
    expect([limits.request('a'), limits.request('a')]).toEqual([0, 1])
    for (let i = 0; i < 9_999; i++) limits.request(`other ${i}`)
    expect(limits.request('a')).toBe(1)
    for (let i = 0; i < 10_000; i++) limits.request(`further ${i}`)
    expect(limits.request('a')).toBe(0)
  })
})

describe('an ingest with rate limits', async () => {
  const { spec } = ecommerce('unused:9092', 'transactions')
  const clients = ['shop', 'till'].map(name => createToken(name))
  const tokens = parseTokens(clients.map(({ line }) => line).join('\n'))
  const withLimits = (rateLimits: RateLimits, isNamed = true) =>
    ingestApp(spec, {
      rateLimits,
      ...(isNamed && { authenticate: authenticator({ tokens: () => tokens, verifyJwt: null, certificates: false }) }),
    })
  const as = (i: number) => ({ authorization: `Bearer ${clients[i]!.token}` })

  it('counts refused requests by client, with Retry-After, and not as refusals of its own', async () => {
    const { app, post, records } = await withLimits({ requestsPerSecond: 1, burstMs: 1000 })
    expect((await post(ecommerceSale(), as(0))).status).toBe(202)
    const headers = { 'content-type': 'application/json', ...as(0) }
    const refused = await app.inject({ method: 'POST', url: '/transactions', payload: ecommerceSale(), headers })
    expect([refused.statusCode, refused.headers['retry-after'], refused.json().error]).toEqual([
      429,
      '1',
      expect.stringMatching(/^client shop sends too many requests per second; nothing was sent/),
    ])
    expect((await post(ecommerceSale(), as(1))).status).toBe(202)
    expect(records).toHaveLength(2)
    const metrics = (await app.inject('/metrics')).body
    expect(metrics).toMatch(/ingest_throttled_total\{client="shop",pipeline="default\/sales"\} 1/)
    expect(metrics).not.toContain('code="429"')
  })

  it('limits sales after a request with many, and identifies a client without a name by its address', async () => {
    const { app, post } = await withLimits({ salesPerSecond: 1, burstMs: 1000 }, false)
    const many = `[${Array(50).fill(ecommerceSale()).join(',')}]`
    expect((await post(many)).status).toBe(202)
    const { status, body } = await post(ecommerceSale())
    expect([status, body.error]).toEqual([429, expect.stringMatching(/^this address sends too many/)])
    expect((await app.inject('/metrics')).body).toMatch(/ingest_throttled_total\{client="unnamed"/)
  })

  it('shows at most 100 names of clients', async () => {
    const metrics = createMetrics('a/b', () => 0)
    for (let i = 0; i < 150; i++) metrics.throttled(`client-${i}`)
    const text = await metrics.registry.metrics()
    expect(text.match(/throttled_total\{client="client-/g)).toHaveLength(100)
    expect(text).toMatch(/throttled_total\{client="other",pipeline="a\/b"\} 50/)
  })
})
