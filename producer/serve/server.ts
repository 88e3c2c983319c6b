/** `producer serve`: accepts sales over HTTP and sends them to Kafka. */
import { kafkaConnection } from '#common/kafka-connection.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'
import { Journal } from '../journal.ts'
import { startTracing } from '../tracing.ts'
import { createApp, MAX_CONNECTIONS } from './app.ts'
import { Budget } from './budget.ts'
import { Ingest } from './ingest.ts'
import { createMetrics } from './metrics.ts'

export type ServeOptions = {
  pipeline: SalesPipeline
  host: string
  /** 0 chooses a free port. */
  port: number
  /** Maximum size of a body, as it was sent and after decompression. */
  maxBodyBytes: number
  /** Maximum number of sales in one request. */
  maxBatch: number
  /** Maximum memory of all requests in progress: bodies that arrive, and sales that wait for Kafka. */
  maxInFlightBytes: number
  /** Time in which a request must arrive, ms. */
  receiveWithinMs: number
  /** How long a request waits for Kafka, ms. */
  answerWithinMs: number
  logLevel: string
  /** Folder of the journal; no journal when left out. */
  journal?: string
  env?: NodeJS.ProcessEnv
}

export type Served = {
  url: string
  /** Refuses new requests, completes those in progress, and waits up to 5 s for Kafka. */
  close(): Promise<void>
}

const CLOSE_WITHIN_MS = 5000

/** Rejects with a UserError if Kafka or the topic cannot be reached within KAFKA_OPEN_MS, or the port is in use. */
export async function startServe(options: ServeOptions): Promise<Served> {
  const { pipeline, host, port, answerWithinMs, env = process.env } = options
  const { maxBodyBytes, maxBatch, receiveWithinMs, logLevel } = options
  const { source, telemetry } = pipeline.spec
  const { topic } = source
  const clientId = 'sales-ingest'
  const connection = kafkaConnection(source, clientId, env)
  const tracing = await startTracing({ topic, clientId, sampling: telemetry.traceSampling, env })
  const journal = options.journal === undefined ? null : new Journal(options.journal)
  const budget = new Budget(options.maxInFlightBytes)
  const ingest = await Ingest.open({ connection, topic, budget, answerWithinMs, tracing, journal })
  const metrics = createMetrics(pipelineKey(pipeline), () => ingest.inFlightBytes)
  const compiled = compileSpec(pipeline.spec)
  const limits = { maxBodyBytes, maxBatch, receiveWithinMs, answerWithinMs }
  const app = await createApp({ compiled, ingest, budget, metrics, ...limits, logLevel })
  // Connections that the kernel cannot queue wait for seconds, or never learn that they were dropped.
  const url = await app.listen({ host, port, backlog: MAX_CONNECTIONS }).catch((error: Error) => {
    throw new UserError(
      `cannot listen on ${host}:${port}: ${error.message}. Choose another --port, or set --host to an address of this machine`,
      { cause: error },
    )
  })
  return {
    url,
    async close() {
      await app.close()
      await ingest.close(CLOSE_WITHIN_MS)
      journal?.close()
      await tracing?.shutdown()
    },
  }
}
