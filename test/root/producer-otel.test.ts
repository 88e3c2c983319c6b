import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { startServe } from '#producer/serve/server.ts'
import { ecommerce } from '#test/producer/pipelines.ts'
import { readBack } from '#test/producer/read-back.ts'
import { startCollector } from '#test/support/otelcol/collector.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'

const PRODUCER = 4
/** A cold build of the collector compiles some hundreds of Go packages. */
const BUILD_MS = 900_000

// Kafka starts here, outside the test's timeout.
beforeAll(kafka)

test('exports the span that each sampled record names in its headers to a real collector', {
  timeout: BUILD_MS,
}, async () => {
  const collector = await startCollector()
  onTestFinished(() => collector.stop())
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }
  // The SDK reads the process' own environment.
  Object.assign(process.env, env)
  onTestFinished(() => void delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT)
  const { bootstrap } = await kafka()
  const topic = unique('traced')
  await createTopic(bootstrap, topic, 2)
  const limits = {
    host: '127.0.0.1',
    port: 0,
    maxBodyBytes: 10_000,
    maxBatch: 10_000,
    receiveWithinMs: 10_000,
    maxInFlightBytes: 1024 ** 2,
    answerWithinMs: 10_000,
    logLevel: 'silent',
    auth: { insecure: false },
  }
  const served = await startServe({ ...limits, pipeline: ecommerce(bootstrap, topic), env })
  const sale = `{"transaction_id":"a","timestamp":"${new Date().toISOString()}","category":"c","payment_method":"p","store_id":"s","amount":1.10,"quantity":1}`
  const answer = await fetch(`${served.url}/${topic}`, {
    method: 'POST',
    body: sale,
    headers: { 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(202)
  await served.close()

  const [record] = await readBack(bootstrap, topic)
  const [, traceId, spanId, flags] = record!.headers.traceparent!.split('-')
  expect(flags).toBe('01')
  const spans = await collector.finish()
  expect(spans.map(({ name }) => name)).toEqual([`send ${topic}`])
  expect(spans[0]).toMatchObject({
    kind: PRODUCER,
    traceId,
    spanId,
    parentSpanId: '',
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.destination.partition.id': String(record!.partition),
      'messaging.kafka.offset': String(record!.offset),
      'messaging.kafka.message.key': 'a',
    },
    resource: { 'service.name': 'sales-ingest' },
  })
})
