import { expect, it, onTestFinished } from 'vitest'
import { startHttp } from '#processor/adapters/http.ts'
import { commitOf, infoOf, NOW, partitionCommit, telemetryForTest } from './fixture.ts'

async function served(host = '127.0.0.1') {
  const { telemetry } = telemetryForTest()
  const server = await startHttp({ port: 0, host, telemetry })
  onTestFinished(() => server.close())
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init)
  return { telemetry, get, server }
}

it('serves the registry in Prometheus text format on /metrics', async () => {
  const { telemetry, get } = await served()
  telemetry.fetched(0, 5)
  const response = await get('/metrics')
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(await response.text()).toContain(
    'salespipeline_fetched_bytes_total{partition="0",pipeline="default/sales"} 5\n',
  )
})

it('answers 503 with reasons on /readyz until the worker is ready', async () => {
  const { telemetry, get } = await served()
  const starting = await get('/readyz')
  expect([starting.status, await starting.json()]).toEqual([503, { ok: false, reasons: ['Starting'] }])
  telemetry.setReady(true)
  const ready = await get('/readyz')
  expect([ready.status, await ready.json()]).toEqual([200, { ok: true, reasons: [] }])
})

it('answers 200 on /healthz while the flow is alive, ready or not', async () => {
  const { telemetry, get } = await served()
  telemetry.condition('LogTruncated', 'partition 3')
  expect((await get('/healthz')).status).toBe(200)
  telemetry.setLive(false, 'out of memory')
  const dead = await get('/healthz')
  expect(dead.status).toBe(503)
  expect(await dead.json()).toMatchObject({
    ok: false,
    reasons: ['out of memory', 'Starting', 'LogTruncated: partition 3'],
  })
})

it('shows counters, partitions, delays and conditions on /status', async () => {
  const { telemetry, get } = await served()
  telemetry.committed(commitOf(partitionCommit(0), partitionCommit(1)), infoOf([NOW - 100, NOW - 100, NOW - 300]))
  telemetry.position(10, { committed: 5, nextOffset: 5, logEnd: 8, undecided: 2, watermark: null })
  telemetry.position(9, { committed: 5, nextOffset: 5, logEnd: 5, undecided: 0, watermark: NOW - 1 })
  telemetry.pipelineClock({ watermark: NOW - 2, finalised: 0, removed: 0 })
  telemetry.rebalanced([9, 10])
  telemetry.busy(30, 100)
  telemetry.condition('WeakFutureGuard', 'the topic has no bound')
  telemetry.committable([10, 9])
  telemetry.sinkAccepted('elasticsearch')
  const status = await (await get('/status')).json()
  expect(status).toMatchObject({
    pipeline: 'default/sales',
    worker: 'worker-1',
    at: NOW,
    health: { live: true, ready: false, reasons: ['Starting'] },
    conditions: { WeakFutureGuard: 'the topic has no bound' },
    proof: { partitions: [9, 10], sinks: ['elasticsearch', 'postgres'] },
    assigned: 2,
    partitions: [
      { partition: 9, lag: 0, undecided: 0, watermark: NOW - 1 },
      { partition: 10, lag: 3, undecided: 2, watermark: null },
    ],
    watermark: NOW - 2,
    endToEndDelay: { p50: 0.1, p99: 0.3, samples: 3 },
    projectionDelay: null,
    counters: {
      busySeconds: 0.03,
      commits: 1,
      records: 20,
      skipped: 4,
      accepted: 14,
      duplicates: 4,
      late: 6,
      deadLetters: 0,
    },
    busy: 0.3,
    projectionPending: 0,
  })
})

it('shows the worker’s member id on /status once it has joined its group', async () => {
  const { telemetry } = telemetryForTest()
  const member = { describe: () => ({ member: 'w-1/abc', topicPartitions: 8 }), expel: async () => true }
  let joined = false
  const server = await startHttp({ port: 0, host: '127.0.0.1', telemetry, member: () => (joined ? member : null) })
  onTestFinished(() => server.close())
  const status = async () => (await fetch(`http://127.0.0.1:${server.port}/status`)).json()
  expect(await status()).toMatchObject({ member: null, topicPartitions: 0 })
  joined = true
  expect(await status()).toMatchObject({ member: 'w-1/abc', topicPartitions: 8, startedAt: expect.any(Number) })
})

it.each([
  ['no address of a store to the network', '0.0.0.0', '[address]'],
  ['addresses of stores on loopback', '127.0.0.1', '10.0.0.7:5432'],
])('shows %s, on /status, /readyz and /healthz', async (_what, host, shown) => {
  const { telemetry, get } = await served(host)
  telemetry.condition(
    'StoreUnavailable',
    'PostgreSQL error while reading: connect ECONNREFUSED 10.0.0.7:5432; retrying',
  )
  telemetry.condition('SourceUnavailable', 'cannot connect to kafka-0.brokers.shop.svc:9092')
  const texts = await Promise.all(['/status', '/readyz', '/healthz'].map(async path => (await get(path)).text()))
  for (const text of texts) {
    expect(text).toContain(`PostgreSQL error while reading: connect ECONNREFUSED ${shown}; retrying`)
    expect(/10\.0\.0\.7|brokers|9092/.test(text)).toBe(shown !== '[address]')
  }
})

it('lists the routes on an unknown path, and refuses POST', async () => {
  const { get } = await served()
  for (const path of ['/', '/constructor', '/metrics/x']) {
    const missing = await get(path)
    expect(missing.status).toBe(404)
    expect(await missing.json()).toMatchObject({ routes: ['/metrics', '/healthz', '/readyz', '/status'] })
  }
  expect((await get('/healthz?verbose')).status).toBe(200)
  expect((await get('/readyz', { method: 'POST' })).status).toBe(405)
})

it('rejects a port that is in use, and releases its own port on close', async () => {
  const { telemetry, server } = await served()
  const startSecond = () => startHttp({ port: server.port, host: '127.0.0.1', telemetry })
  await expect(startSecond()).rejects.toThrow('EADDRINUSE')
  const other = await startHttp({ port: 0, host: '127.0.0.1', telemetry })
  await fetch(`http://127.0.0.1:${other.port}/healthz`)
  await other.close()
  await expect(fetch(`http://127.0.0.1:${other.port}/healthz`)).rejects.toThrow()
})
