import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type IngestMetrics = {
  registry: Registry
  answered(code: number): void
  accepted(events: number, bytes: number): void
  produced(seconds: number): void
  /** A request exceeded the limits of its client; null: of an address. */
  throttled(client: string | null): void
}

/** Identity providers may name any number of clients: further ones share the label `other`. */
const MAX_CLIENT_LABELS = 100
/** Seconds. A nearby broker responds in a few ms; requests time out after 10 s. */
const PRODUCE_BOUNDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Creates the metrics of the REST ingest of `pipeline` (namespace/name). Each scrape reads `inFlightBytes`. */
export function createMetrics(pipeline: string, inFlightBytes: () => number): IngestMetrics {
  const registry = new Registry()
  registry.setDefaultLabels({ pipeline })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `salespipeline_ingest_${name}_total`, help, labelNames, registers })
  const requests = counter('requests', 'Requests to send sales, by HTTP status', ['code'])
  const events = counter('events', 'Sales that Kafka acknowledged')
  const bytes = counter('bytes', 'Bytes of sales that Kafka acknowledged')
  const produce = new Histogram({
    name: 'salespipeline_ingest_produce_seconds',
    help: 'Time from the first record that a request sends until Kafka acknowledges its last record',
    buckets: PRODUCE_BOUNDS,
    registers,
  })
  new Gauge({
    name: 'salespipeline_ingest_in_flight_bytes',
    help: 'Bytes that wait for Kafka’s acknowledgement',
    registers,
    collect() {
      this.set(inFlightBytes())
    },
  })
  const throttled = counter('throttled', 'Requests that got 429 because of the rate limits of their client', ['client'])
  const clients = new Set<string>()
  const labelOf = (client: string | null) => {
    if (client === null) return 'unnamed'
    if (clients.size < MAX_CLIENT_LABELS) clients.add(client)
    return clients.has(client) ? client : 'other'
  }
  return {
    registry,
    answered: code => requests.inc({ code }),
    accepted(count, size) {
      events.inc(count)
      bytes.inc(size)
    },
    produced: seconds => produce.observe(seconds),
    throttled: client => throttled.inc({ client: labelOf(client) }),
  }
}
