/**
 * A minimal metrics API service for a HorizontalPodAutoscaler: external metric `sales_per_second`, from the counters of the
 * workers behind a Service. It reads /tls/tls.crt and tls.key; WORKERS is the headless Service's name and port.
 */
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const EVERY_MS = 3000
const GROUP = 'external.metrics.k8s.io/v1beta1'
const METRIC = 'sales_per_second'
const [host, port] = process.env.WORKERS.split(':')
let before = new Map()
let rate = 0

async function measure() {
  const addresses = await lookup(host, { all: true }).catch(() => [])
  const responses = await Promise.allSettled(
    addresses.map(async ({ address }) => {
      const response = await fetch(`http://${address}:${port}/status`, { signal: AbortSignal.timeout(2000) })
      const { worker, at, counters } = await response.json()
      return [worker, { at, records: counters.records }]
    }),
  )
  const now = new Map(responses.flatMap(({ status, value }) => (status === 'fulfilled' ? [value] : [])))
  const rates = [...now].flatMap(([worker, { at, records }]) => {
    const last = before.get(worker)
    return last && at > last.at && records >= last.records ? [((records - last.records) * 1000) / (at - last.at)] : []
  })
  if (rates.length > 0) rate = rates.reduce((sum, one) => sum + one, 0)
  before = now
}
setInterval(() => void measure(), EVERY_MS)

function bodyFor(path) {
  const list = { metadata: {}, kind: 'ExternalMetricValueList', apiVersion: GROUP }
  if (path === `/apis/${GROUP}`) {
    const resources = [{ name: METRIC, namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] }]
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP, resources }
  }
  if (!path.endsWith(`/${METRIC}`)) return null
  const item = {
    metricName: METRIC,
    metricLabels: {},
    timestamp: new Date().toISOString(),
    value: `${Math.round(rate)}`,
  }
  return { ...list, items: [item] }
}

const tls = { cert: readFileSync('/tls/tls.crt'), key: readFileSync('/tls/tls.key') }
createServer(tls, (request, response) => {
  const body = bodyFor(request.url.split('?')[0])
  response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}))
}).listen(6443)
process.once('SIGTERM', () => process.exit(0))
