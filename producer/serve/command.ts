/** `producer serve` on the command line. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { INGEST_PORT } from '#pipeline/limits.ts'
import { brokersOf, durationOption, pipelineOptions, readPipeline, reportWaiting, watchSecrets } from '../options.ts'
import type { AuthOptions } from './auth/open.ts'
import { defaultInFlight } from './budget.ts'
import type { RateLimits } from './rate-limit.ts'
import { startServe } from './server.ts'

const MIB = 1024 ** 2
/** A request of the default size has fewer real sales: each has more than 100 bytes. */
const DEFAULT_MAX_BATCH = 10_000

function options<T>(argv: Argv<T>) {
  return pipelineOptions(argv)
    .option('host', { type: 'string', default: '127.0.0.1', describe: 'Address to listen on; 0.0.0.0 for all' })
    .option('port', { type: 'number', default: INGEST_PORT, describe: 'Port to listen on; 0 chooses a free one' })
    .option('max-body', {
      type: 'number',
      coerce: limitOption('max-body'),
      default: MIB,
      describe: 'Maximum size of a request, bytes, also after decompression; larger ones get 413',
    })
    .option('max-batch', {
      type: 'number',
      coerce: limitOption('max-batch'),
      default: DEFAULT_MAX_BATCH,
      describe: 'Maximum number of sales in one request; more get 413',
    })
    .option('max-in-flight', {
      type: 'number',
      coerce: limitOption('max-in-flight'),
      default: defaultInFlight(process.env.MEMORY_LIMIT),
      defaultDescription: '64 MiB; an eighth of MEMORY_LIMIT if that variable is set',
      describe:
        'Maximum memory of all requests in progress, bytes: bodies that arrive and sales that wait for Kafka; further requests get 429',
    })
    .option('receive-within', {
      type: 'string',
      default: '30s',
      coerce: durationOption('receive-within'),
      describe: 'Time in which a request must arrive; slower ones get 408',
    })
    .option('answer-within', {
      type: 'string',
      default: '10s',
      coerce: durationOption('answer-within'),
      describe: 'Time that a request waits for Kafka before it gets 503',
    })
    .option('journal', {
      type: 'string',
      describe: 'Folder for the journal of sent records. npm start uses .local/<name>/journal',
    })
    .option('tokens', {
      type: 'string',
      describe:
        'File or folder with lines NAME:HASH, which the command token prints; requests need one of the tokens. Read again when it changes',
    })
    .option('jwt-issuer', {
      type: 'string',
      implies: ['jwt-audience', 'jwks-url'],
      describe: 'Also accept JWTs of this issuer, an OpenID Connect provider',
    })
    .option('jwt-audience', { type: 'string', implies: 'jwt-issuer', describe: 'Audience that a JWT must have' })
    .option('jwks-url', {
      type: 'string',
      implies: 'jwt-issuer',
      describe: 'Address of the public keys of the issuer (jwks_uri)',
    })
    .option('jwt-client-claim', {
      type: 'string',
      default: 'sub',
      describe: 'Claim of a JWT that names the client',
    })
    .option('tls-cert', { type: 'string', implies: 'tls-key', describe: 'File with the certificate (PEM) for HTTPS' })
    .option('tls-key', { type: 'string', implies: 'tls-cert', describe: 'File with the key of the certificate (PEM)' })
    .option('tls-client-ca', {
      type: 'string',
      implies: 'tls-cert',
      describe: 'Also accept clients whose certificate one of the authorities in this file (PEM) has issued',
    })
    .option('client-requests-per-second', {
      type: 'number',
      coerce: limitOption('client-requests-per-second'),
      describe: 'Maximum rate of requests of each client (or address); more get 429',
    })
    .option('client-sales-per-second', {
      type: 'number',
      coerce: limitOption('client-sales-per-second'),
      describe: 'Maximum rate of sales of each client (or address); more get 429',
    })
    .option('client-burst', {
      type: 'string',
      default: '10s',
      coerce: durationOption('client-burst'),
      describe: 'A client that was idle may send as much at once as its rates allow in this time',
    })
    .option('insecure', {
      type: 'boolean',
      default: false,
      describe:
        'Receive tokens without encryption from other machines, for example behind an Ingress that terminates TLS',
    })
    .option('log-level', {
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      describe: 'Lowest level that is logged. Logs are JSON on standard output',
    })
    .example('$0 serve --file k8s/examples/ecommerce.yaml', 'then: curl localhost:8000/docs')
    .example(
      `curl localhost:8000/transactions -H 'content-type: application/json' -d '{"transaction_id": "t-1", …}'`,
      '202 when Kafka has stored it; 400 lists the invalid fields',
    )
    .epilogue(EPILOGUE)
}

const EPILOGUE = `With the environment variable HTTP_PORT, metrics, probes, /docs and /openapi.json are served on that port of HTTP_HOST (default: only this machine), without TLS and tokens. The port for sales then serves only sales, /healthz and /readyz.`

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addServe(argv: Argv): Argv {
  return argv.command('serve', 'Accept sales over HTTP: POST /<topic>; GET /docs explains it', options, run)
}

/** Returns a function that converts a yargs option; yargs reports its error. A limit that is no number would limit nothing. */
function limitOption(flag: string): (value: number) => number {
  return value => {
    if (Number.isSafeInteger(value) && value > 0) return value
    throw new Error(`--${flag} is ${value}; set it to a whole number of at least 1`)
  }
}

function rateLimitOptions(flags: Flags): { rateLimits?: RateLimits } {
  const { clientRequestsPerSecond: requests, clientSalesPerSecond: sales, clientBurst: burstMs } = flags
  if (requests === undefined && sales === undefined) return {}
  return {
    rateLimits: {
      burstMs,
      ...(requests !== undefined && { requestsPerSecond: requests }),
      ...(sales !== undefined && { salesPerSecond: sales }),
    },
  }
}

function authOptions(flags: Flags): AuthOptions {
  const { tokens, jwtIssuer, jwtAudience, jwksUrl, jwtClientClaim, tlsCert, tlsKey, tlsClientCa, insecure } = flags
  return {
    insecure,
    ...(tokens !== undefined && { tokens }),
    // The options imply each other.
    ...(jwtIssuer !== undefined && {
      jwt: { issuer: jwtIssuer, audience: jwtAudience!, jwksUrl: jwksUrl!, clientClaim: jwtClientClaim },
    }),
    ...(tlsCert !== undefined && {
      tls: { cert: tlsCert, key: tlsKey!, ...(tlsClientCa !== undefined && { clientCa: tlsClientCa }) },
    }),
  }
}

async function run(flags: Flags): Promise<void> {
  const pipeline = readPipeline(flags.file, { source: { bootstrapServers: brokersOf(flags.bootstrap) } })
  const opening = startServe({
    pipeline,
    host: flags.host,
    port: flags.port,
    maxBodyBytes: flags.maxBody,
    maxBatch: flags.maxBatch,
    maxInFlightBytes: flags.maxInFlight,
    receiveWithinMs: flags.receiveWithin,
    answerWithinMs: flags.answerWithin,
    logLevel: flags.logLevel,
    ...(flags.journal !== undefined && { journal: flags.journal }),
    auth: authOptions(flags),
    ...rateLimitOptions(flags),
  })
  const served = await reportWaiting(pipeline, opening)
  if (process.connected) process.send?.({ type: 'serving', url: served.url })
  watchSecrets()
  await new Promise<unknown>(resolve => {
    for (const end of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(end, resolve)
  })
  await served.close()
}
