/** Tokens for SASL OAUTHBEARER: from a token endpoint (client credentials, RFC 6749) or from a file that is replaced. */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { serverText } from './redact.ts'

/** A token cannot be had. `denied`: the endpoint refuses the client, which waiting does not fix. */
export class TokenError extends Error {
  readonly denied: boolean
  constructor(message: string, denied = false) {
    super(message)
    this.name = 'TokenError'
    this.denied = denied
  }
}

export type ClientCredentials = {
  tokenEndpoint: string
  clientId: string
  clientSecret: string
  scope?: string | undefined
  /** PEM of the authorities to trust (default: the system's). */
  ca?: string | undefined
}

/** Below the time-out of a connection, so that the error names the endpoint and not the broker. */
const ANSWER_WITHIN_MS = 4000
const MAX_ANSWER_BYTES = 64 * 1024
/** Characters of the endpoint's text in a message. */
const MAX_REASON = 200
/** Part of a token's lifetime after which the next authentication fetches another one. Brokers end sessions with their token. */
const USED_FRACTION = 0.8

/** Returns a function that resolves with a valid token. Calls at the same time share one request. Rejects with a TokenError. */
export function fetchedToken(credentials: ClientCredentials, now: () => number = Date.now): () => Promise<string> {
  let current: { token: string; until: number } | null = null
  let pending: Promise<string> | null = null
  const fetchToken = async () => {
    const askedAt = now()
    const { token, lifetimeMs } = await requestToken(credentials)
    current = { token, until: askedAt + lifetimeMs * USED_FRACTION }
    return token
  }
  return () => {
    if (current && now() < current.until) return Promise.resolve(current.token)
    pending ??= fetchToken().finally(() => {
      pending = null
    })
    return pending
  }
}

/** Returns a function that reads the token from the file, because the kubelet replaces it. Rejects with a TokenError. */
export function tokenFromFile(file: string): () => Promise<string> {
  return async () => {
    const token = await readFile(file, 'utf8').catch((error: Error) => {
      throw new TokenError(
        `cannot read the token file ${file}: ${error.message}. Set KAFKA_TOKEN_FILE to a token’s file`,
      )
    })
    if (token.trim() === '') throw new TokenError(`the token file ${file} is empty`)
    return token.trim()
  }
}

/** The broker's answer to a token: nothing, or the reason for which it rejects the token (RFC 7628, section 3.2.2). */
export function checkTokenAnswer(answer: Buffer, callback: (error: Error | null, answer?: Buffer) => void): void {
  const { status } = parseObject(answer.toString())
  if (status === undefined) {
    callback(null, answer)
    return
  }
  const message = `the broker rejects the token (${serverText(String(status))}). Check that the brokers accept its issuer, audience and scope`
  callback(new TokenError(message, true))
}

async function requestToken(credentials: ClientCredentials): Promise<{ token: string; lifetimeMs: number }> {
  const { tokenEndpoint, clientId } = credentials
  const { status, text } = await post(credentials).catch((error: Error) => {
    throw new TokenError(
      `token endpoint ${tokenEndpoint} cannot be reached: ${serverText(error.message)}. Check spec.source.sasl.oauth.tokenEndpoint and caSecretRef`,
    )
  })
  if (status !== 200) {
    const denied = status === 400 || status === 401 || status === 403
    const advice = denied ? '. Check clientId, clientSecretRef and scope of spec.source.sasl.oauth' : ''
    throw new TokenError(
      `token endpoint ${tokenEndpoint} answered ${status} for client ${clientId}: ${excerpt(text)}${advice}`,
      denied,
    )
  }
  const { access_token: token, expires_in: seconds } = parseObject(text)
  if (typeof token !== 'string' || token === '')
    throw new TokenError(`token endpoint ${tokenEndpoint} answered without access_token. Check tokenEndpoint`)
  // Without a lifetime, every authentication fetches a token of its own.
  return { token, lifetimeMs: Number(seconds) > 0 ? Number(seconds) * 1000 : 0 }
}

/** Never shows a successful answer, which holds the token. */
function excerpt(text: string): string {
  const reason = serverText(text)
  return reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason || 'no text'
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}

function post({ tokenEndpoint, clientId, clientSecret, scope, ca }: ClientCredentials) {
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope !== undefined && { scope }) })
  const request = tokenEndpoint.startsWith('https:') ? requestHttps : requestHttp
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(tokenEndpoint, {
      method: 'POST',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')}`,
      },
      ...(ca !== undefined && { ca }),
    })
    sent.on('response', response =>
      readText(response).then(text => resolve({ status: response.statusCode!, text }), reject),
    )
    sent.on('error', reject)
    sent.end(body.toString())
  })
}

/** RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined by a colon. */
const formEncoded = (text: string) => new URLSearchParams({ t: text }).toString().slice(2)

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`its answer is larger than ${MAX_ANSWER_BYTES} bytes`)
  }
  return Buffer.concat(chunks).toString()
}
