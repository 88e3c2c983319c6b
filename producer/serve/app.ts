/** The HTTP side of the ingest: routes and responses. It does not depend on Kafka. */
import swagger from '@fastify/swagger'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { LOG_FORMAT } from '#common/logger.ts'
import { redact } from '#common/redact.ts'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Authenticate } from './auth/authenticate.ts'
import type { ServerTls } from './auth/open.ts'
import { splitBody } from './body.ts'
import { type Budget, REQUEST_BYTES } from './budget.ts'
import { eventSchema } from './event-schema.ts'
import { Gate } from './gate.ts'
import type { Ingest } from './ingest.ts'
import type { IngestMetrics } from './metrics.ts'
import { addPages } from './pages.ts'
import type { RateLimits } from './rate-limit.ts'
import { receive } from './receive.ts'
import { quoted, Refusal } from './refusal.ts'
import { BEARER_AUTH, bodySchema, RESPONSES } from './responses.ts'
import { type Checks, checkSales, checksOf, MAX_FAULTS, type Validate } from './validation.ts'

export type AppParts = {
  compiled: CompiledSpec
  ingest: Pick<Ingest, 'send' | 'unready'>
  budget: Budget
  metrics: IngestMetrics
  /** Null: no encryption. */
  tls: ServerTls | null
  /** Whether metrics and documentation have a port of their own, so that this one serves sales and probes only. */
  isPrivate: boolean
  /** Null accepts requests of anyone. */
  authenticate: Authenticate | null
  /** Limits of each client; null: none. */
  rateLimits: RateLimits | null
  /** Maximum size of a body, as it was sent and after decompression. */
  maxBodyBytes: number
  /** Maximum number of sales in one request. */
  maxBatch: number
  /** Time in which a request must arrive, ms. */
  receiveWithinMs: number
  /** How long a request waits for Kafka, ms. */
  answerWithinMs: number
  logLevel: string
}

type Redacted = { type: string; message: string; stack: string }

/** How often Node closes connections whose request does not arrive in time. */
const CHECK_CONNECTIONS_MS = 1000
/** A connection needs some KB even without a request. */
export const MAX_CONNECTIONS = 2000
const TRACEPARENT = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/
/**
 * Ajv reports every fault, considers own properties only, and does not change the event. The schemas that it gets have
 * no arrays, so the number of faults does not grow with the event.
 */
const AJV = {
  allErrors: true,
  verbose: true,
  ownProperties: true,
  allowUnionTypes: true,
  coerceTypes: false,
  useDefaults: false,
  removeAdditional: false,
} as const

export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const { compiled, metrics, authenticate, isPrivate, maxBatch } = parts
  const { topic } = compiled.spec.source
  const route = `/${topic}`
  const gate = authenticate || parts.rateLimits ? new Gate(parts) : null
  const schema = eventSchema(compiled.spec)
  const app = Fastify({ ...serverOptions(parts), ajv: { customOptions: AJV }, frameworkErrors: sendError })
  app.removeAllContentTypeParsers()
  // The handler reads the body, because only there does its memory have an end. Fastify's JSON parser would turn 1.10 into 1.1.
  app.addContentTypeParser('application/json', (_request, _payload, done) => done(null))
  app.setErrorHandler(sendError)
  refuseUnknownRoutes(app, route, isPrivate ? '' : '. GET /docs explains the format')
  app.addHook('onResponse', async (request, reply) => {
    if (request.routeOptions.url === route && !gate?.isThrottled(request)) metrics.answered(reply.statusCode)
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: `Sales to ${topic}`, version: '1' },
      ...(authenticate && BEARER_AUTH),
    },
    // Fastify only documents the body. We validate each event separately, so that faults have the index of their event.
    transform: documented =>
      documented.url === route
        ? { ...documented, schema: { ...documented.schema, body: bodySchema(schema, maxBatch) } }
        : documented,
  })
  app.post(
    route,
    {
      schema: { summary: `Send one sale, or an array of at most ${maxBatch} sales`, response: RESPONSES },
      ...(gate && { onRequest: (request: FastifyRequest) => gate.enter(request) }),
    },
    salesHandler(parts, gate),
  )
  addPages(app, parts, schema)
  app.server.maxConnections = MAX_CONNECTIONS
  return app
}

function serverOptions({ tls, receiveWithinMs, answerWithinMs, logLevel }: AppParts): FastifyServerOptions {
  // Node derives the time for headers from this one, and applies the longer of both to a body.
  const limits = { requestTimeout: receiveWithinMs, connectionsCheckingInterval: CHECK_CONNECTIONS_MS }
  // A client without an accepted certificate gets an answer that says so.
  const https = tls && { ...limits, ...tls, rejectUnauthorized: false, handshakeTimeout: receiveWithinMs }
  return {
    logger: { level: logLevel, ...LOG_FORMAT, serializers: { err: (error: unknown) => redact(error) as Redacted } },
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: receiveWithinMs,
    // A connection that is idle for longer than any response takes has a client that does not read.
    connectionTimeout: receiveWithinMs + answerWithinMs,
    ...(https ? { https } : { http: limits }),
  }
}

/** Answers 404, or 405 if the path exists. It does so before the body is read. */
function refuseUnknownRoutes(app: FastifyInstance, route: string, hint: string): void {
  const methods = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), method].flat())
  })
  app.addHook('onRequest', async request => {
    if (!request.is404) return
    const allow = methods.get(request.url.replace(/\?.*/s, ''))?.join(', ')
    if (allow) throw new Refusal(405, `this path does not support ${request.method}; use ${allow}`, { allow })
    throw new Refusal(404, `this path does not exist; send sales with POST ${route}${hint}`)
  })
}

function salesHandler({ compiled, ingest, budget, metrics, maxBodyBytes, maxBatch }: AppParts, gate: Gate | null) {
  let checks: Checks | undefined
  return (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    budget.during(async take => {
      take(REQUEST_BYTES)
      // Only a request can compile schemas with Fastify's Ajv.
      checks ??= checksOf(compiled, schema => request.compileValidationSchema(schema) as Validate)
      const body = splitBody(await receive(request.raw, maxBodyBytes, take), maxBatch)
      const { sales, faults } = checkSales(body, compiled, checks)
      if (faults.length > 0) return reply.code(400).send({ error: summaryOf(faults), faults })
      gate?.countSales(request, sales.length)
      const size = sales.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const startedAt = performance.now()
      const positions = await ingest.send(sales, traceOf(request))
      metrics.produced((performance.now() - startedAt) / 1000)
      metrics.accepted(positions.length, size)
      return reply.code(202).send({ accepted: positions.length, offsets: positions })
    })
}

function traceOf({ headers: { traceparent } }: FastifyRequest): string | undefined {
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined
}

function summaryOf({ length }: unknown[]): string {
  const count = length === MAX_FAULTS ? `at least ${length}` : length
  return `nothing was sent to Kafka: ${count} error${length === 1 ? '' : 's'} in the request`
}

function sendError(error: FastifyError | Refusal, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, message, headers } = error instanceof Refusal ? error : refusalOf(error, request)
  if (status >= 500 && !(error instanceof Refusal)) request.log.error(error)
  return reply.code(status).headers(headers).send({ error: message })
}

/** Returns the answer to an error of Fastify, or to a bug. */
function refusalOf({ code, statusCode = 500, message }: FastifyError, request: FastifyRequest): Refusal {
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const found = quoted(request.headers['content-type'] ?? 'missing')
    return new Refusal(415, `the header Content-Type is ${found}; set it to application/json`)
  }
  return new Refusal(statusCode, statusCode >= 500 ? 'internal error' : quoted(message))
}
