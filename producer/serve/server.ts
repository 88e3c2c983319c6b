/** `producer serve`: accepts sales over HTTP and sends them to Kafka. */
import type { Server } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { Environment } from '#common/environment.ts'
import { type HttpServer, httpHost, startHttpServer } from '#common/http.ts'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { redact } from '#common/redact.ts'
import { LOOPBACK_HOST } from '#pipeline/admission.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import { MAX_PORT } from '#pipeline/limits.ts'
import type { SalesPipeline, Spec } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'
import { Journal } from '../journal.ts'
import { startTracing } from '../tracing.ts'
import { type AppParts, createApp, MAX_CONNECTIONS } from './app.ts'
import { type AuthOptions, openAuth } from './auth/open.ts'
import type { Report } from './auth/reloaded.ts'
import { Budget } from './budget.ts'
import { Ingest } from './ingest.ts'
import { createMetrics } from './metrics.ts'
import { privateRoutes } from './pages.ts'
import type { RateLimits } from './rate-limit.ts'

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
  /** Limits of each client; no limits when left out. */
  rateLimits?: RateLimits
  env?: NodeJS.ProcessEnv
}

export type Served = {
  url: string
  /** Port of metrics, probes and documentation; null if they are on the port for sales. */
  metricsPort: number | null
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
  refuseWithoutTokens(pipeline.spec.ingest, options.auth, host)
  // Replaced once the application and its log exist.
  let report: Report = () => {}
  let onTls: (context: SecureContextOptions) => void = () => {}
  const auth = await openAuth(options.auth, host, {
    report: (...line) => report(...line),
    onTls: context => onTls(context),
  })
  const connection = kafkaConnection(source, clientId, env)
  const tracing = await startTracing({ topic, clientId, sampling: telemetry.traceSampling, env })
  const journal = options.journal === undefined ? null : new Journal(options.journal)
  const budget = new Budget(options.maxInFlightBytes)
  const ingest = await Ingest.open({ connection, topic, budget, answerWithinMs, tracing, journal })
  const metrics = createMetrics(pipelineKey(pipeline), () => ingest.inFlightBytes)
  const compiled = compileSpec(pipeline.spec)
  const limits = { maxBodyBytes, maxBatch, receiveWithinMs, answerWithinMs }
  const { authenticate, tls } = auth
  const { rateLimits = null } = options
  const isPrivate = env.HTTP_PORT !== undefined
  const parts = { compiled, ingest, budget, metrics, authenticate, rateLimits, tls, isPrivate, ...limits, logLevel }
  const app = await createApp(parts)
  onTls = context => {
    const server = app.server as unknown as Server
    server.setSecureContext(context)
    // A client that is no longer accepted must not keep its connection.
    server.closeIdleConnections()
  }
  report = (level, message, fields = {}) => app.log[level](redact(fields), message)
  if (!authenticate && !LOOPBACK_HOST.test(host))
    report('warn', 'accepting sales from anyone who can connect; set --tokens, --jwt-issuer or --tls-client-ca', {
      host,
    })
  const side = isPrivate ? await startPrivate(app, parts, env) : null
  // Connections that the kernel cannot queue wait for seconds, or never learn that they were dropped.
  const url = await app.listen({ host, port, backlog: MAX_CONNECTIONS }).catch((error: Error) => {
    throw new UserError(
      `cannot listen on ${host}:${port}: ${error.message}. Choose another --port, or set --host to an address of this machine`,
      { cause: error },
    )
  })
  return {
    url,
    metricsPort: side?.port ?? null,
    async close() {
      await app.close()
      await side?.close()
      auth.close()
      await ingest.close(CLOSE_WITHIN_MS)
      journal?.close()
      await tracing?.shutdown()
    },
  }
}

/** Throws a UserError if the document asks clients for tokens, and the flags do not. */
function refuseWithoutTokens({ tokensSecretRef, jwt }: Spec['ingest'], asked: AuthOptions, host: string): void {
  const isOpen = asked.tokens === undefined && !asked.jwt && asked.tls?.clientCa === undefined
  if (isOpen && (tokensSecretRef || jwt) && !LOOPBACK_HOST.test(host))
    throw new UserError(
      `spec.ingest asks clients for tokens, but serve does not, so --host ${host} would accept sales from anyone. Set --tokens to a file with the value of the Secret, or --jwt-issuer`,
    )
}

/** Rejects with a UserError if HTTP_PORT is not a port, or the port is in use. */
function startPrivate(app: FastifyInstance, parts: AppParts, env: NodeJS.ProcessEnv): Promise<HttpServer> {
  const settings = new Environment(env)
  const port = settings.integer('HTTP_PORT', 0, 0, MAX_PORT)
  settings.check()
  return startHttpServer({ port, host: httpHost(env), routes: privateRoutes(app, parts) })
}
