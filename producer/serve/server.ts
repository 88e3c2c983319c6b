/** `producer serve`: accepts sales over HTTP and sends them to Kafka. */
import { kafkaConnection } from '#common/kafka-connection.ts'
import { redact } from '#common/redact.ts'
import { LOOPBACK_HOST } from '#pipeline/admission.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'
import { Journal } from '../journal.ts'
import { startTracing } from '../tracing.ts'
import { createApp, MAX_CONNECTIONS } from './app.ts'
import { type AuthOptions, openAuth, type Report } from './auth/open.ts'
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
  auth: AuthOptions
  env?: NodeJS.ProcessEnv
}

export type Served = {
  url: string
  /** Refuses new requests, completes those in progress, and waits up to 5 s for Kafka. */
  close(): Promise<void>
}

const CLOSE_WITHIN_MS = 5000

/** Rejects with a UserError if a file of `auth` cannot be used, Kafka or the topic cannot be reached within KAFKA_OPEN_MS, or the port is in use. */
export async function startServe(options: ServeOptions): Promise<Served> {
  const { pipeline, host, port, answerWithinMs, env = process.env } = options
  const { maxBodyBytes, maxBatch, receiveWithinMs, logLevel } = options
  const { source, telemetry } = pipeline.spec
  const { topic } = source
  const clientId = 'sales-ingest'
  const { tokensSecretRef, jwt } = pipeline.spec.ingest
  const isOpen = options.auth.tokens === undefined && options.auth.jwt === undefined
  if (isOpen && (tokensSecretRef || jwt) && !LOOPBACK_HOST.test(host))
    throw new UserError(
      `spec.ingest asks clients for tokens, but serve does not, so --host ${host} would accept sales from anyone. Set --tokens to a file with the value of the Secret, or --jwt-issuer`,
    )
  // Replaced once the application and its log exist.
  let report: Report = () => {}
  const auth = await openAuth(options.auth, host, (...line) => report(...line))
  const connection = kafkaConnection(source, clientId, env)
  const tracing = await startTracing({ topic, clientId, sampling: telemetry.traceSampling, env })
  const journal = options.journal === undefined ? null : new Journal(options.journal)
  const budget = new Budget(options.maxInFlightBytes)
  const ingest = await Ingest.open({ connection, topic, budget, answerWithinMs, tracing, journal })
  const metrics = createMetrics(pipelineKey(pipeline), () => ingest.inFlightBytes)
  const compiled = compileSpec(pipeline.spec)
  const limits = { maxBodyBytes, maxBatch, receiveWithinMs, answerWithinMs }
  const { authenticate } = auth
  const app = await createApp({ compiled, ingest, budget, metrics, authenticate, ...limits, logLevel })
  report = (level, message, fields = {}) => app.log[level](redact(fields), message)
  if (!authenticate && !LOOPBACK_HOST.test(host))
    report('warn', 'accepting sales from anyone who can connect; set --tokens or --jwt-issuer', { host })
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
      auth.close()
      await ingest.close(CLOSE_WITHIN_MS)
      journal?.close()
      await tracing?.shutdown()
    },
  }
}
