import { expect, onTestFinished, test } from 'vitest'
import { parseDocument } from 'yaml'
import { Rig } from '#test/integrity/rig.ts'
import { readBack } from '#test/producer/read-back.ts'
import { type CollectedSpan, startCollector } from '#test/support/otelcol/collector.ts'

type Created = { traceId: string; spanId: string }

/** Ids from the W3C recommendation's examples. */
const CALLER: Created = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
/** A cold build of the collector compiles some hundreds of Go packages. */
const BUILD_MS = 900_000

const traceparentOf = ({ traceId, spanId }: Created) => `00-${traceId}-${spanId}-01`

function post(url: string, id: string, headers: Record<string, string> = {}): Promise<Response> {
  const sale = { category: 'books', payment_method: 'paypal', store_id: 'store-1', amount: 12.5, quantity: 1 }
  return fetch(`${url}/transactions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...sale, transaction_id: id, timestamp: new Date().toISOString() }),
  })
}

/** Expects the worker's spans for one sale in its trace, as children of the span that created it and linked to it. */
function expectFollowed(spans: CollectedSpan[], created: Created): void {
  const own = spans.filter(({ traceId, resource }) => {
    return traceId === created.traceId && resource['service.name'] === 'sales-pipeline-worker'
  })
  const under = { parentSpanId: created.spanId, links: [created] }
  const processed = own.find(({ name }) => name === 'process transactions')
  expect(own.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
    { name: 'commit', parentSpanId: processed?.spanId },
    { name: 'process transactions', ...under },
    { name: 'project transactions-aggregated', ...under },
    { name: 'project transactions-by-payment', ...under },
  ])
}

test('traces a sale from the request to its row and to its document', { timeout: BUILD_MS }, async () => {
  const collector = await startCollector()
  onTestFinished(() => collector.stop())
  const rig = await Rig.start('traced', { elasticsearch: true })
  onTestFinished(() => rig.stop())
  const document = parseDocument(rig.specText)
  document.setIn(['spec', 'telemetry'], { traceSampling: 1 })
  const exporting = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }
  const worker = await rig.startWorker(String(document), exporting)
  const ingest = await rig.startIngest(String(document), exporting)

  expect((await post(ingest.url, 'begun')).status).toBe(202)
  await rig.drained() // so that each sale has a separate commit
  expect((await post(ingest.url, 'carried', { traceparent: traceparentOf(CALLER) })).status).toBe(202)
  await rig.drained()
  for (const { process, exited } of [ingest, worker]) {
    process.kill('SIGTERM')
    expect(await exited).toBe(0)
  }

  const spans = await collector.finish()
  const [sent, ...others] = spans.filter(({ resource }) => resource['service.name'] === 'sales-ingest')
  expect(others).toEqual([])
  expect(sent).toMatchObject({ name: 'send transactions', parentSpanId: '' })
  const begun = { traceId: sent!.traceId, spanId: sent!.spanId }
  const records = await readBack(rig.servers.kafka.bootstrap, 'transactions')
  const headers = Object.fromEntries(records.map(record => [String(record.key), record.headers.traceparent]))
  expect(headers).toEqual({ begun: traceparentOf(begun), carried: traceparentOf(CALLER) })

  expect(begun.traceId).not.toBe(CALLER.traceId)
  expectFollowed(spans, begun)
  expectFollowed(spans, CALLER)
  expect(spans).toHaveLength(1 + 4 + 4)
  expect(rig.servers.postgres.password).not.toBe('')
  expect(JSON.stringify(spans)).not.toContain(rig.servers.postgres.password)
})
