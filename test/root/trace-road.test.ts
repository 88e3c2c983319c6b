import { expect, onTestFinished, test } from 'vitest'
import { parseDocument } from 'yaml'
import { Rig } from '#test/integrity/rig.ts'
import { readBack } from '#test/producer/read-back.ts'
import { startCollector } from '#test/support/otelcol/collector.ts'

/** A cold build of the collector compiles some hundreds of Go packages. */
const BUILD_MS = 900_000

const SALE = {
  transaction_id: 'traced-1',
  category: 'books',
  payment_method: 'paypal',
  store_id: 'store-1',
  amount: 12.5,
  quantity: 1,
}

test('a sale can be followed from the request to its row and to its document', { timeout: BUILD_MS }, async () => {
  const collector = await startCollector()
  onTestFinished(() => collector.stop())
  const rig = await Rig.start('traced', { elasticsearch: true })
  onTestFinished(() => rig.stop())
  const document = parseDocument(rig.specText)
  document.setIn(['spec', 'telemetry'], { traceSampling: 1 })
  const exporting = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }
  const worker = await rig.startWorker(String(document), exporting)
  const ingest = await rig.startIngest(String(document), exporting)

  const answer = await fetch(`${ingest.url}/transactions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...SALE, timestamp: new Date().toISOString() }),
  })
  expect(answer.status).toBe(202)
  await rig.drained()
  for (const { process, exited } of [ingest, worker]) {
    process.kill('SIGTERM')
    expect(await exited).toBe(0)
  }

  const [record] = await readBack(rig.servers.kafka.bootstrap, 'transactions')
  const spans = await collector.finish()
  const named = (name: string) => spans.filter(span => span.name === name)
  const [sent] = named('send transactions')
  expect(record!.headers.traceparent).toBe(`00-${sent!.traceId}-${sent!.spanId}-01`)
  const created = { traceId: sent!.traceId, spanId: sent!.spanId }

  const [processed] = named('process transactions')
  expect(processed).toMatchObject({ traceId: sent!.traceId, parentSpanId: sent!.spanId, links: [created] })
  const within = { traceId: sent!.traceId, spanId: processed!.spanId }
  expect(named('commit')).toMatchObject([{ traceId: sent!.traceId, parentSpanId: processed!.spanId }])
  const projections = spans.filter(span => span.name.startsWith('project '))
  expect(projections.map(span => span.name).sort()).toEqual([
    'project transactions-aggregated',
    'project transactions-by-payment',
  ])
  for (const { links } of projections) expect(links).toEqual([within, created])
  expect(processed!.resource['service.name']).toBe('sales-pipeline-worker')
  expect(JSON.stringify(spans)).not.toContain(rig.servers.postgres.password)
})
