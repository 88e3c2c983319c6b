/** Readings from the responses of a real worker. */
import { expect, it, onTestFinished } from 'vitest'
import { readingOf } from '#chaos/scrape.ts'
import { startHttp } from '#processor/adapters/http.ts'
import { commitOf, infoOf, NOW, partitionCommit, telemetryForTest } from '../processor/telemetry/fixture.ts'

async function responses() {
  const { telemetry } = telemetryForTest()
  const share = partitionCommit(0)
  telemetry.committed(commitOf(share, partitionCommit(1)), infoOf([NOW - 100, NOW - 100, NOW - 300, NOW - 90_000]))
  telemetry.position(0, { committed: 5, nextOffset: 5, logEnd: 8, undecided: 0, watermark: null })
  telemetry.position(1, { committed: 5, nextOffset: 5, logEnd: 5, undecided: 0, watermark: null })
  telemetry.projectionPending(17)
  const member = () => ({ describe: () => ({ member: 'm', topicPartitions: 2 }), expel: async () => true })
  const { port, close } = await startHttp({ port: 0, host: '127.0.0.1', telemetry, member })
  onTestFinished(close)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  return { records: share.counters.records, status: await get('/status'), metrics: await get('/metrics') }
}

it('reads lag, records, pending rows and delays of a worker', async () => {
  const { records, status, metrics } = await responses()
  const reading = readingOf('worker-1', status, metrics)
  expect(reading).toMatchObject({ topicPartitions: 2, pending: 17, startedAt: Math.round(performance.timeOrigin) })
  expect([...reading.lag].sort()).toEqual([
    [0, 3],
    [1, 0],
  ])
  expect(reading.records.get(0)).toBe(records)
  const { bounds, counts } = reading.delay
  expect(bounds.at(-1)).toBe(Infinity)
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b))
  const upTo = (seconds: number) => counts[bounds.indexOf(seconds)]
  expect([upTo(0.05), upTo(0.1), upTo(0.3), upTo(60), counts.at(-1)]).toEqual([0, 2, 3, 3, 4])
  expect(reading.projection.counts.at(-1)).toBe(0)
})

it('rejects responses of another pod, and metrics that are not those of a worker', async () => {
  const { status, metrics } = await responses()
  expect(() => readingOf('worker-2', status, metrics)).toThrow(
    'expected a response from pod worker-2, but worker worker-1 responded; the pod IP may have been reused',
  )
  expect(() => readingOf('worker-1', status, '')).toThrow(
    '/metrics of pod worker-1 has no metric salespipeline_end_to_end_delay_seconds',
  )
})
